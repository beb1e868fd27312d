import type { LogEntry } from '../../../lib/app/logs/entries.ts';
import type { EntryPage } from '../../../lib/app/logs/index.ts';
import type { LevelsOverTime } from '../../../lib/app/logs/over-time.ts';
import type { LogSummary, MessageCount } from '../../../lib/app/logs/summary.ts';
import { logLevels } from '../../../lib/app/supervisor/log-lines.ts';
import type { ChartArtifact, TableArtifact, TextArtifact } from '../../../lib/shared/artifact.ts';
import { harmless } from '../../../lib/shared/text/width.ts';
import { cursorOf } from '../log-places.ts';

const timeWidth = '2026-01-31T12:00:00.000Z'.length;
const levelWidth = 'error'.length;

/** An entry as a person reads it: time, service, level, message. */
export function entryText({ at, service, level = '', message, facts = '' }: LogEntry, nameWidth: number): string {
  const columns = [at.padEnd(timeWidth), service.padEnd(nameWidth), level.padEnd(levelWidth), message, facts];
  return harmless(columns.join('  ').replaceAll('\n', ' ')).trimEnd();
}

/** An entry for programs; `raw` is what it was read from. */
export function entryFacts(entry: LogEntry): Record<string, unknown> {
  return { ...entry };
}

/** A page of entries, the newest last. */
export function entriesText({ entries, next }: EntryPage, missing: string | undefined, empty: string): TextArtifact {
  const width = Math.max(0, ...entries.map(({ service }) => service.length));
  const lines = entries.map((entry) => entryText(entry, width));
  return {
    type: 'text',
    content: [lines.length === 0 ? empty : lines.join('\n'), ...(missing === undefined ? [] : ['', missing])].join(
      '\n',
    ),
    data: { entries: entries.map(entryFacts), ...(missing === undefined ? {} : { missing }) },
    ...(next === undefined ? {} : { next_cursor: cursorOf(next) }),
  };
}

/** How much each service logged, by level. */
export function summaryTable(
  { services, messages, forgotten }: LogSummary,
  missing: string | undefined,
): TableArtifact {
  const levels = [...logLevels]
    .reverse()
    .filter((level) => services.some((counts) => counts.levels[level] !== undefined));
  const frequent = messages
    .slice(0, 3)
    .map(({ count, service, message }) => `${count} × ${service}: ${message.replaceAll('\n', ' ')}`);
  return {
    type: 'table',
    columns: [
      { name: 'service', column_type: 'string' },
      { name: 'total', column_type: 'integer' },
      ...levels.map((level) => ({ name: level, column_type: 'integer' as const })),
      { name: 'last', column_type: 'date' },
    ],
    items: services.map(({ service, total, levels: counts, first, last }) => ({
      service,
      total,
      ...Object.fromEntries(levels.map((level) => [level, counts[level] ?? 0])),
      first: first === '' ? null : first,
      last: last === '' ? null : last,
    })),
    count: services.length,
    empty: 'Nothing was logged that is like this.',
    notes: [
      ...(frequent.length === 0 ? [] : ['Most frequent (more of them: --messages):', ...frequent]),
      ...(forgotten ? [tooMany] : []),
      ...(missing === undefined ? [] : [missing]),
    ],
  };
}

const tooMany = 'There are too many different messages: the rare ones are not counted';

/** How much was logged over time, by level, the worst first. */
export function overTimeChart(
  { spanMs, spans, levels, undated }: LevelsOverTime,
  missing: string | undefined,
): ChartArtifact {
  const known = [...[...logLevels].reverse(), 'none'].filter((level) => levels[level] !== undefined);
  const notes = [
    ...(undated === 0 ? [] : [`Without a time, and not counted: ${undated}`]),
    ...(missing === undefined ? [] : [missing]),
  ];
  return {
    type: 'chart',
    title: spans.length === 0 ? 'Lines by level' : `Lines by level, a bar for ${formatSpan(spanMs)}`,
    chart_type: 'bar',
    labels: [...spans],
    label_type: 'date',
    series: known.map((name) => ({ name, values: [...(levels[name] ?? [])] })),
    data: { span_ms: spanMs },
    empty: 'Nothing was logged that is like this.',
    ...(notes.length === 0 ? {} : { notes }),
  };
}

function formatSpan(ms: number): string {
  const [size, unit] = (
    [
      [86_400_000, 'd'],
      [3_600_000, 'h'],
      [60_000, 'min'],
      [1_000, 's'],
    ] as const
  ).find(([one]) => ms >= one) ?? [1, 'ms'];
  return `${ms / size} ${unit}`;
}

/** The most frequent messages. */
export function messagesTable(
  { messages, forgotten }: LogSummary,
  limit: number,
  missing: string | undefined,
): TableArtifact {
  const row = ({ count, level, service, message, last }: MessageCount) => ({
    count,
    level: level === 'none' ? null : level,
    service,
    message: message.replaceAll('\n', ' '),
    last: last === '' ? null : last,
  });
  const notes = [...(forgotten ? [tooMany] : []), ...(missing === undefined ? [] : [missing])];
  return {
    type: 'table',
    columns: [
      { name: 'count', column_type: 'integer' },
      { name: 'level', column_type: 'string' },
      { name: 'service', column_type: 'string' },
      { name: 'message', column_type: 'string' },
      { name: 'last', column_type: 'date' },
    ],
    items: messages.slice(0, limit).map(row),
    count: messages.length,
    empty: 'Nothing was logged that is like this.',
    ...(notes.length === 0 ? {} : { notes }),
  };
}
