import { Box, type Instance, render, Text } from 'ink';
import { createElement as h, type ReactElement } from 'react';
import type { ServiceStatus } from '../../../lib/app/supervisor/status.ts';
import { readableLogLine } from '../../../lib/shared/text/log-line.ts';
import { harmless, truncate } from '../../../lib/shared/text/width.ts';
import { stateColour } from '../output/style.ts';
import { columnsOf, type OutputStream } from '../session.ts';
import type { WatchModel } from './watch-model.ts';
import { headLine, rowParts, type WatchLayout, watchLayout } from './watch-table.ts';

const defaultRows = 24;
const keysHelp = '↑↓ select   r restart   s stop, start   l logs   q quit';
const keysHelpShort = 'r restart s stop l logs q quit';
/** Title, head of the table, an empty line, head of the panel, message, keys. */
const fixedLines = 6;

/** The drawn view of `watch`, on a screen of its own: what stood on the terminal is there again when it closes. */
export class WatchScreen {
  readonly #ink: Instance;
  readonly #stream: OutputStream;
  readonly #resized: () => void;
  #model: WatchModel;

  /** @param stream a terminal: standard error, so that standard output carries the result alone */
  constructor(stream: OutputStream, model: WatchModel) {
    this.#stream = stream;
    this.#model = model;
    this.#ink = render(this.#picture(), {
      stdout: stream as unknown as NodeJS.WriteStream,
      exitOnCtrlC: false,
      interactive: true,
      patchConsole: false,
      alternateScreen: true,
    });
    this.#resized = () => this.show(this.#model);
    stream.on('resize', this.#resized);
  }

  show(model: WatchModel): void {
    this.#model = model;
    this.#ink.rerender(this.#picture());
  }

  async close(): Promise<void> {
    this.#stream.off('resize', this.#resized);
    this.#ink.unmount();
    await this.#ink.waitUntilExit();
  }

  #picture(): ReactElement {
    const [width, rows] = [columnsOf(this.#stream), this.#stream.rows || defaultRows];
    return h(View, { model: this.#model, width: width - 1, rows: rows - 1, now: Date.now() });
  }
}

interface ViewProps {
  readonly model: WatchModel;
  readonly width: number;
  readonly rows: number;
  readonly now: number;
}

function View({ model, width, rows, now }: ViewProps): ReactElement {
  const layout = watchLayout(model.services, width);
  // Table and panel share what is left; the table has the larger part.
  const left = Math.max(1, rows - fixedLines);
  const room = Math.max(1, left - Math.min(4, Math.floor(left / 3)));
  const services = windowAround(model.services, model.selected, room);
  const panel = Math.max(0, left - services.length);
  return h(
    Box,
    { flexDirection: 'column' },
    line('title', title(model), { bold: true }),
    line('head', headLine(layout), { dimColor: true }),
    ...services.map((service) => h(Row, { key: service.name, service, model, layout, width, now })),
    line('gap', ' '),
    ...panelOf(model, panel, width),
    model.asking === undefined
      ? line('message', truncate(oneLine(model.message ?? ' '), width))
      : line('question', truncate(`Stop ${model.asking}, and what stands on it? y, or any other key`, width), {
          color: 'yellow',
        }),
    line('keys', truncate(width < keysHelp.length ? keysHelpShort : keysHelp, width), { dimColor: true }),
  );
}

function title({ status, connected }: WatchModel): string {
  if (status === undefined) return 'Looking for the supervisor';
  const { supervisor, url } = status;
  if (!connected) return `${url}  the supervisor (${supervisor.pid}) is gone; the table is what it told last`;
  const acting = supervisor.acting ? '' : '  the database is away, nothing is started or ended by itself';
  return `${url}  supervisor ${supervisor.pid} ${supervisor.state}${acting}`;
}

interface RowProps {
  readonly service: ServiceStatus;
  readonly model: WatchModel;
  readonly layout: WatchLayout;
  readonly width: number;
  readonly now: number;
}

function Row({ service, model, layout, width, now }: RowProps): ReactElement {
  const chosen = service.name === model.selected;
  const { name, state, rest } = rowParts(service, layout, { now, deaths: model.deaths.get(service.name) ?? [] });
  const colour = stateColour(state.trim());
  const shade =
    !model.connected || colour === 'dim' ? { dimColor: true } : colour === undefined ? {} : { color: colour };
  // Of what is down the reason says more than empty columns.
  const reason = rest.trim() === '' || service.state === 'failed' ? service.lastError : undefined;
  const space = width - 2 - name.length - state.length;
  const facts = reason === undefined ? rest : `  ${oneLine(reason)}`;
  return h(
    Text,
    { wrap: 'truncate', inverse: chosen },
    `${chosen ? '›' : ' '} ${name}`,
    h(Text, shade, state),
    h(Text, model.connected ? {} : { dimColor: true }, truncate(facts, space)),
  );
}

/** The output that is followed, else the last events. */
function panelOf({ logs, events }: WatchModel, lines: number, width: number): ReactElement[] {
  const [head, all] =
    logs === undefined ? ['EVENTS', events] : [`OUTPUT of ${logs.service}`, logs.lines.map(readableLogLine)];
  const shown = lines <= 0 ? [] : all.slice(-lines);
  return [
    line('panel', truncate(head, width), { dimColor: true }),
    ...shown.map((text, index) => line(`panel ${index}`, truncate(oneLine(text), width))),
  ];
}

/** As many services as there is room for, the selected one among them. */
function windowAround(
  services: readonly ServiceStatus[],
  selected: string | undefined,
  room: number,
): readonly ServiceStatus[] {
  const at = services.findIndex(({ name }) => name === selected);
  const from = Math.max(0, Math.min(at - Math.floor(room / 2), services.length - room));
  return services.slice(from, from + room);
}

function line(key: string, text: string, style: Parameters<typeof Text>[0] = {}): ReactElement {
  return h(Text, { key, wrap: 'truncate', ...style }, text);
}

function oneLine(text: string): string {
  return harmless(text).replaceAll(/\s+/g, ' ') || ' ';
}
