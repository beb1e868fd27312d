import { readLogs } from '../supervisor/log-reading.ts';
import { byTime, isWanted, type LogEntry, type LogWanted, lineEntry } from './entries.ts';
import { fileEntries } from './files.ts';
import { type LogRows, newestRows, onceEach, rowEntries } from './rows.ts';

/** Where logs are read from; without rows the files alone. */
export interface LogPlaces {
  readonly logsDir: string;
  /** All that have logs or are configured. */
  readonly services: readonly string[];
  readonly rows: LogRows | undefined;
}

/** Everything that is wanted, the oldest first, read as it is asked for. */
export async function* allEntries(places: LogPlaces, wanted: LogWanted): AsyncGenerator<LogEntry, void, undefined> {
  const services = wanted.services ?? places.services;
  const lines = hasLines(wanted) ? fileEntries(places.logsDir, services, wanted.since) : [];
  const rows = places.rows === undefined ? [] : rowEntries(places.rows, wanted);
  for await (const entry of onceEach(lines, rows)) {
    if (wanted.until !== undefined && entry.at > wanted.until) return;
    if (isWanted(entry, wanted)) yield entry;
  }
}

/** Where a page ended: everything before `at`, and of that very time all but the newest `seen`. */
export interface PageEnd {
  readonly at: string;
  readonly seen: number;
}

export interface EntryPage {
  /** The oldest first. */
  readonly entries: readonly LogEntry[];
  /** Set when there are older ones. */
  readonly next?: PageEnd;
}

/**
 * The newest entries that are wanted and pass, the oldest of them first.
 *
 * @param limit at most so many
 * @param before where the page before this one ended
 */
export async function newestEntries(
  places: LogPlaces,
  wanted: LogWanted,
  limit: number,
  { before, passes }: { readonly before?: PageEnd | undefined; passes?(entry: LogEntry): boolean } = {},
): Promise<EntryPage> {
  const until = before === undefined ? wanted.until : before.at;
  const narrowed = { ...wanted, until };
  // One more tells whether there are older ones.
  const most = limit + (before?.seen ?? 0) + 1;
  const plain = wanted.trace === undefined && wanted.user === undefined && passes === undefined;
  const simple = until === undefined && plain;
  const found = simple ? await tails(places, narrowed, most) : await sifted(places, narrowed, most, passes);
  const pages = before === undefined ? found : dropSeen(found, before);
  const entries = pages.slice(-limit);
  const [oldest] = entries;
  if (pages.length <= limit || oldest === undefined) return { entries };
  const sameTime = entries.filter(({ at }) => at === oldest.at).length;
  const again = before !== undefined && before.at === oldest.at ? before.seen : 0;
  return { entries, next: { at: oldest.at, seen: sameTime + again } };
}

/** From the ends of the files: what costs the same however long they are. */
async function tails(places: LogPlaces, wanted: LogWanted, limit: number): Promise<LogEntry[]> {
  const services = wanted.services ?? places.services;
  const { since, level } = wanted;
  const before = new Map<string, LogEntry>();
  const lines = hasLines(wanted)
    ? readLogs(places.logsDir, { services, lines: limit, since, level }).map((line) => {
        const run = `${line.service} ${line.instanceId}`;
        const entry = lineEntry(line, before.get(run));
        before.set(run, entry);
        return entry;
      })
    : [];
  const rows = places.rows === undefined ? [] : await newestRows(places.rows, wanted, limit);
  // A line below its level may stand there to complete the one before it; readLogs has decided that.
  const kept = rows.filter((entry) => isWanted(entry, wanted));
  const entries: LogEntry[] = [];
  for await (const entry of onceEach(lines, kept.sort(byTime))) entries.push(entry);
  return entries.slice(-limit);
}

/** Through all of it, holding no more than is wanted. */
async function sifted(
  places: LogPlaces,
  wanted: LogWanted,
  limit: number,
  passes: (entry: LogEntry) => boolean = () => true,
): Promise<LogEntry[]> {
  let kept: LogEntry[] = [];
  for await (const entry of allEntries(places, wanted)) {
    if (!passes(entry)) continue;
    kept.push(entry);
    if (kept.length > 2 * limit) kept = kept.slice(-limit);
  }
  return kept.slice(-limit);
}

function dropSeen(entries: readonly LogEntry[], { at, seen }: PageEnd): LogEntry[] {
  let left = seen;
  return entries
    .toReversed()
    .filter((entry) => !(entry.at === at && left-- > 0))
    .reverse();
}

function hasLines({ sources }: LogWanted): boolean {
  return sources === undefined || sources.includes('lines');
}
