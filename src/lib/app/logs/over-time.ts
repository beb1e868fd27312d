import type { LogEntry } from './entries.ts';

/** So many spans at most are told apart. */
const spansMax = 60;
const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
/** How long a span may be, in ms; each is a multiple of the one before. */
const lengths = [
  ...[1, 5, 15].map((count) => count * second),
  ...[1, 5, 15].map((count) => count * minute),
  ...[1, 6].map((count) => count * hour),
  ...[1, 7, 28, 364].map((count) => count * day),
];

/** How many entries there were in each span of time, by level. */
export interface LevelsOverTime {
  /** Length of a span, in ms. */
  readonly spanMs: number;
  /** When each span begins, ISO 8601 in UTC; one after another, also those in which there was nothing. */
  readonly spans: readonly string[];
  /** By level, as many as there are spans; `none` for entries without one. */
  readonly levels: Readonly<Record<string, readonly number[]>>;
  /** Entries without a time, which are not among them. */
  readonly undated: number;
}

/** Counts entries as they come, in spans that grow with the time between the first and the last: what is held does not. */
export async function countOverTime(entries: AsyncIterable<LogEntry>): Promise<LevelsOverTime> {
  let length = 0;
  let counts = new Map<number, Map<string, number>>();
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let undated = 0;
  const spanMs = (): number => lengths[length] ?? Number.MAX_SAFE_INTEGER;
  const spanOf = (time: number): number => Math.floor(time / spanMs());
  const add = (span: number, level: string, count: number): void => {
    const levels = counts.get(span) ?? new Map<string, number>();
    counts.set(span, levels.set(level, (levels.get(level) ?? 0) + count));
  };
  for await (const { at, level = 'none' } of entries) {
    const time = Date.parse(at);
    if (Number.isNaN(time)) {
      undated += 1;
      continue;
    }
    first = Math.min(first, time);
    last = Math.max(last, time);
    while (spanOf(last) - spanOf(first) >= spansMax && length < lengths.length - 1) {
      const before = { spanMs: spanMs(), counts };
      length += 1;
      counts = new Map();
      for (const [span, levels] of before.counts)
        for (const [name, count] of levels) add(spanOf(span * before.spanMs), name, count);
    }
    add(spanOf(time), level, 1);
  }
  const size = counts.size === 0 ? 0 : spanOf(last) - spanOf(first) + 1;
  const spans = Array.from({ length: size }, (_, index) => spanOf(first) + index);
  const names = new Set([...counts.values()].flatMap((levels) => [...levels.keys()]));
  return {
    spanMs: spanMs(),
    spans: spans.map((span) => new Date(span * spanMs()).toISOString()),
    levels: Object.fromEntries([...names].map((name) => [name, spans.map((span) => counts.get(span)?.get(name) ?? 0)])),
    undated,
  };
}
