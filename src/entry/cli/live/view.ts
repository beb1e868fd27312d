import { Box, type Instance, render, Text } from 'ink';
import { createElement as h, type ReactElement } from 'react';
import type { ServiceStatus } from '../../../lib/app/supervisor/status.ts';
import { formatDuration } from '../../../lib/shared/text/cells.ts';
import { readableLogLine } from '../../../lib/shared/text/log-line.ts';
import { harmless, truncate } from '../../../lib/shared/text/width.ts';
import { stateColour } from '../output/style.ts';
import { columnsOf, type OutputStream } from '../session.ts';
import type { StartupView } from './startup.ts';

const marks: Readonly<Record<ServiceStatus['state'], string>> = {
  stopped: '○',
  starting: '◌',
  ready: '●',
  unhealthy: '◍',
  backoff: '◌',
  stopping: '◌',
  failed: '✗',
};

/** The drawn view of a start. It only writes to the stream it was given; signals and input stay with the command. */
export class LiveView {
  readonly #ink: Instance;
  readonly #columns: () => number;

  /** @param stream a terminal: standard error, so that standard output carries the result alone */
  constructor(stream: OutputStream, first: StartupView) {
    this.#columns = () => columnsOf(stream);
    this.#ink = render(h(View, { view: first, width: this.#columns() }), {
      stdout: stream as unknown as NodeJS.WriteStream,
      exitOnCtrlC: false,
      // Whether to draw at all is decided before (reporter.ts).
      interactive: true,
      patchConsole: false,
    });
  }

  show(view: StartupView): void {
    this.#ink.rerender(h(View, { view, width: this.#columns() }));
  }

  /** Leaves the last picture on the screen and gives the terminal back. */
  async close(): Promise<void> {
    this.#ink.unmount();
    await this.#ink.waitUntilExit();
  }
}

/** The picture: a row a service, then the last message and the times of the phases. */
function View({ view, width }: { readonly view: StartupView; readonly width: number }): ReactElement {
  const name = Math.max(8, ...view.services.map((service) => service.name.length)) + 2;
  const rows = view.services.map((service) => h(Row, { key: service.name, service, name, width }));
  const footer = view.phases.map((phase) => `${phase.name} ${formatDuration(phase.ms)}`).join('  ·  ');
  return h(
    Box,
    { flexDirection: 'column' },
    ...rows,
    ...(view.message === undefined ? [] : [h(Text, { key: 'message', wrap: 'truncate' }, harmless(view.message))]),
    ...(footer === '' ? [] : [h(Text, { key: 'phases', dimColor: true }, footer)]),
  );
}

interface RowProps {
  readonly service: ServiceStatus;
  readonly name: number;
  readonly width: number;
}

function Row({ service, name, width }: RowProps): ReactElement {
  const colour = stateColour(service.state);
  const shade = colour === 'dim' || colour === undefined ? { dimColor: true } : { color: colour };
  const facts = [
    service.pid === undefined ? '' : `pid ${service.pid}`,
    service.port === undefined ? '' : `port ${service.port}`,
    service.readyMs === undefined ? '' : formatDuration(service.readyMs),
  ];
  const [pid = '', port = '', ready = ''] = facts;
  const fixed = `${pid.padEnd(12)}${port.padEnd(11)}${ready.padEnd(9)}`;
  const last = service.state === 'ready' ? service.lastLog : (service.lastError ?? service.lastLog);
  const space = width - 2 - name - 10 - fixed.length - 1;
  return h(
    Box,
    {},
    h(Text, shade, `${marks[service.state]} `),
    h(Text, {}, service.name.padEnd(name)),
    h(Text, shade, service.state.padEnd(10)),
    h(Text, {}, fixed),
    h(
      Text,
      { dimColor: true },
      space > 8 ? truncate(harmless(readableLogLine(last ?? '')).replaceAll(/\s+/g, ' '), space) : '',
    ),
  );
}
