import type { ServiceStatus } from '../../../lib/app/supervisor/status.ts';
import { formatBytes, formatDuration } from '../../../lib/shared/text/cells.ts';
import { perSpan, sparkline } from '../../../lib/shared/text/sparkline.ts';
import { pad, truncate } from '../../../lib/shared/text/width.ts';

interface Column {
  readonly label: string;
  readonly width: number;
  /** What is given up last in a narrow terminal has the smallest number. */
  readonly worth: number;
  readonly right?: boolean;
  readonly text: (service: ServiceStatus, facts: RowFacts) => string;
}

interface RowFacts {
  /** ms since the epoch. */
  readonly now: number;
  /** When the service went down by itself. */
  readonly deaths: readonly number[];
}

const minuteMs = 60_000;
const sparkWidth = 12;

const columns: readonly Column[] = [
  { label: 'PID', width: 7, worth: 4, right: true, text: ({ pid }) => String(pid ?? '') },
  { label: 'PORT', width: 5, worth: 2, right: true, text: ({ port }) => String(port ?? '') },
  { label: 'UP', width: 11, worth: 1, right: true, text: (service, { now }) => uptime(service, now) },
  { label: 'RESTARTS', width: 8, worth: 3, right: true, text: ({ restarts }) => String(restarts) },
  {
    label: 'MEMORY',
    width: 8,
    worth: 5,
    right: true,
    text: ({ resources }) => (resources === undefined ? '' : formatBytes(resources.rssBytes)),
  },
  {
    label: 'LOOP',
    width: 7,
    worth: 9,
    right: true,
    text: ({ health }) => (health?.eventLoopDelayMs === undefined ? '' : formatDuration(health.eventLoopDelayMs)),
  },
  {
    label: 'PROBE',
    width: 7,
    worth: 6,
    right: true,
    text: ({ health }) => (health?.latencyMs === undefined ? '' : formatDuration(health.latencyMs)),
  },
  {
    label: 'LATENCY',
    width: sparkWidth,
    worth: 7,
    text: ({ health }) => sparkline(health?.latencies ?? [], sparkWidth),
  },
  {
    label: 'DOWN/MINUTE',
    width: sparkWidth,
    worth: 8,
    text: (_, { now, deaths }) =>
      deaths.length === 0 ? '' : sparkline(perSpan(deaths, now, minuteMs, sparkWidth), sparkWidth),
  },
];

const stateWidth = 9;
const gap = '  ';

/** The columns that there is room for, the same for every row. */
export interface WatchLayout {
  readonly name: number;
  readonly columns: readonly Column[];
}

/** @param width columns of the terminal */
export function watchLayout(services: readonly ServiceStatus[], width: number): WatchLayout {
  const name = Math.min(Math.max(7, ...services.map((service) => service.name.length)), Math.max(7, width - 20));
  let space = width - 2 - name - gap.length - stateWidth;
  const kept = new Set<Column>();
  for (const column of columns.toSorted((a, b) => a.worth - b.worth)) {
    if (column.width + gap.length > space) break;
    space -= column.width + gap.length;
    kept.add(column);
  }
  return { name, columns: columns.filter((column) => kept.has(column)) };
}

export function headLine({ name, columns: shown }: WatchLayout): string {
  const cells = shown.map(({ label, width, right }) => pad(truncate(label, width), width, right ? 'left' : 'right'));
  return ['  ', [pad('SERVICE', name), pad('STATE', stateWidth), ...cells].join(gap)].join('').trimEnd();
}

/** A row in three parts, since the state alone has a colour. */
export function rowParts(
  service: ServiceStatus,
  layout: WatchLayout,
  facts: RowFacts,
): { readonly name: string; readonly state: string; readonly rest: string } {
  const cells = layout.columns.map(({ width, right, text }) =>
    pad(truncate(text(service, facts), width), width, right ? 'left' : 'right'),
  );
  // Alive, and out of routing: what a state alone would hide.
  const state = service.state === 'ready' && service.health?.serving === false ? 'not ready' : service.state;
  return {
    name: pad(truncate(service.name, layout.name), layout.name) + gap,
    state: pad(state, stateWidth),
    rest: `${gap}${cells.join(gap)}`.trimEnd(),
  };
}

function uptime({ state, readyAt, startedAt }: ServiceStatus, now: number): string {
  const since = state === 'ready' || state === 'unhealthy' ? (readyAt ?? startedAt) : undefined;
  return since === undefined ? '' : formatDuration(Math.max(1000, now - Date.parse(since))).replace(/\.\d+ s/, ' s');
}
