import { Box, type Instance, render, Text } from 'ink';
import { createElement as h, type ReactElement } from 'react';
import type { ServiceStatus } from '../../../lib/app/supervisor/status.ts';
import { formatDuration } from '../../../lib/shared/text/cells.ts';
import { readableLogLine } from '../../../lib/shared/text/log-line.ts';
import { harmless, truncate } from '../../../lib/shared/text/width.ts';
import { stateColour } from '../output/style.ts';
import { columnsOf, type OutputStream } from '../session.ts';
import { phaseLines, type StartupView } from './startup.ts';

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

/** The picture: a row a service, then the last message and the times of the phases. No row of a service is ever wrapped. */
function View({ view, width }: { readonly view: StartupView; readonly width: number }): ReactElement {
  const layout = layoutOf(view.services, width - 1);
  const rows = view.services.map((service) => h(Row, { key: service.name, service, layout }));
  const details = view.services.flatMap(({ name, detail }) => (detail === undefined ? [] : [{ name, detail }]));
  const phases = phaseLines(view.phases, width - 1);
  return h(
    Box,
    { flexDirection: 'column' },
    ...rows,
    // Worth more than a row has room for: as whom the database runs. These lines alone may wrap.
    ...details.map(({ name, detail }) => h(Text, { key: `detail ${name}`, dimColor: true }, oneLine(detail))),
    ...(view.message === undefined ? [] : [h(Text, { key: 'message', wrap: 'truncate' }, oneLine(view.message))]),
    ...phases.map((line) => h(Text, { key: line, dimColor: true, wrap: 'truncate' }, line)),
  );
}

const stateWidth = 10;
/** In the order in which they are shown. */
const factWidths = { pid: 12, port: 11, ready: 9 } as const;
type Fact = keyof typeof factWidths;
/** What is given up last in a narrow terminal comes first. */
const factsByWorth: readonly Fact[] = ['port', 'pid', 'ready'];
/** Less of a log line than this says nothing. */
const shortestText = 8;

interface Layout {
  readonly width: number;
  readonly name: number;
  readonly facts: readonly Fact[];
}

/** The columns that there is room for; the same for every row. */
function layoutOf(services: readonly ServiceStatus[], width: number): Layout {
  const name = Math.max(8, ...services.map((service) => service.name.length)) + 2;
  let space = width - 2 - name - stateWidth;
  const kept = new Set<Fact>();
  for (const fact of factsByWorth) {
    if (factWidths[fact] > space) break;
    space -= factWidths[fact];
    kept.add(fact);
  }
  return { width, name, facts: (Object.keys(factWidths) as Fact[]).filter((fact) => kept.has(fact)) };
}

function Row({ service, layout }: { readonly service: ServiceStatus; readonly layout: Layout }): ReactElement {
  const colour = stateColour(service.state);
  const shade = colour === 'dim' || colour === undefined ? { dimColor: true } : { color: colour };
  const facts: Readonly<Record<Fact, string>> = {
    pid: service.pid === undefined ? '' : `pid ${service.pid}`,
    port: service.port === undefined ? '' : `port ${service.port}`,
    ready: service.readyMs === undefined ? '' : formatDuration(service.readyMs),
  };
  // A row with nothing in these columns, such as that of a service that failed, has their room for its reason.
  const none = layout.facts.every((fact) => facts[fact] === '');
  const fixed = none ? '' : layout.facts.map((fact) => facts[fact].padEnd(factWidths[fact])).join('');
  const last = service.state === 'ready' ? service.lastLog : (service.lastError ?? service.lastLog);
  const space = layout.width - 2 - layout.name - stateWidth - fixed.length;
  return h(
    Text,
    { wrap: 'truncate' },
    h(Text, shade, `${marks[service.state]} `),
    service.name.padEnd(layout.name),
    h(Text, shade, service.state.padEnd(stateWidth)),
    fixed,
    h(Text, { dimColor: true }, space > shortestText ? truncate(oneLine(readableLogLine(last ?? '')), space) : ''),
  );
}

function oneLine(text: string): string {
  return harmless(text).replaceAll(/\s+/g, ' ');
}
