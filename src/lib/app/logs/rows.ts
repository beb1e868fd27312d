import type { AuditReader } from '../../domain/governance/index.ts';
import { type ServerLogLine, serverLogLineLength, serverLogsBetween } from '../../domain/mcp/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import { withActor } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { eventsBetween } from '../supervisor/event-rows.ts';
import { callEntry, eventEntry, type LogEntry, type LogSourceName, type LogWanted, lineEntry } from './entries.ts';

const page = 500;

/** What the database has to say: the changes of the services' states, and the tool calls. */
export interface LogRows {
  readonly database: Queryable & Pick<Database, 'transaction'>;
  readonly installationId: string;
  readonly audit: AuditReader;
  readonly actor: Actor;
}

/** All rows in the order of their times, a page at a time. What is wanted is a narrowing, not a filter: sift what comes. */
export async function* rowEntries(rows: LogRows, wanted: LogWanted): AsyncGenerator<LogEntry, void, undefined> {
  const events = has(wanted, 'events') ? allEvents(rows, wanted) : none();
  const calls = has(wanted, 'calls') ? allCalls(rows, wanted) : none();
  const lines = has(wanted, 'lines') ? keptLines(rows, wanted) : none();
  yield* mergedAsync(mergedAsync(events, calls), lines);
}

/** The newest rows before a time, in the order of their times, at most so many of each kind. */
export async function newestRows(rows: LogRows, wanted: LogWanted, limit: number): Promise<LogEntry[]> {
  const { database, installationId, audit, actor } = rows;
  const { since, until } = wanted;
  const events = has(wanted, 'events')
    ? await eventsBetween(database, installationId, { since, until, newest: true, limit })
    : [];
  const calls = has(wanted, 'calls') ? await audit.between(actor, { since, until, newest: true, limit }) : [];
  const lines = has(wanted, 'lines')
    ? await withActor(database, 'system', (tx) => serverLogsBetween(tx, { ...narrowed(wanted), newest: true, limit }))
    : [];
  return [...events.map(eventEntry), ...calls.map(callEntry), ...lines.map(keptEntry)];
}

/** Two streams that are in order, as one. */
async function* mergedAsync(
  one: AsyncIterable<LogEntry> | Iterable<LogEntry>,
  other: AsyncIterable<LogEntry> | Iterable<LogEntry>,
): AsyncGenerator<LogEntry, void, undefined> {
  const [a, b] = [iterator(one), iterator(other)];
  let [left, right] = [await a.next(), await b.next()];
  while (left.done !== true || right.done !== true) {
    if (right.done === true || (left.done !== true && left.value.at <= right.value.at)) {
      if (left.done !== true) yield left.value;
      left = await a.next();
    } else {
      yield right.value;
      right = await b.next();
    }
  }
}

interface Steps {
  next(): IteratorResult<LogEntry> | Promise<IteratorResult<LogEntry>>;
}

function iterator(entries: AsyncIterable<LogEntry> | Iterable<LogEntry>): Steps {
  return Symbol.asyncIterator in entries ? entries[Symbol.asyncIterator]() : entries[Symbol.iterator]();
}

/** An execution id is no service's state: with a trace wanted, events can't be meant. */
function has({ sources, trace, user }: LogWanted, source: LogSourceName): boolean {
  if (source === 'events' && (trace !== undefined || user !== undefined)) return false;
  return sources === undefined || sources.includes(source);
}

async function* allEvents({ database, installationId }: LogRows, { since, until }: LogWanted) {
  let after = 0;
  for (;;) {
    const events = await eventsBetween(database, installationId, { since, until, after, limit: page });
    yield* events.map(eventEntry);
    const last = events.at(-1);
    if (last === undefined || events.length < page) return;
    after = last.id;
  }
}

async function* allCalls({ audit, actor }: LogRows, { since, until }: LogWanted) {
  let after: string | undefined;
  for (;;) {
    const calls = await audit.between(actor, { since, until, after, limit: page });
    yield* calls.map(callEntry);
    const last = calls.at(-1);
    if (last === undefined || calls.length < page) return;
    after = last.executionId;
  }
}

/** Lines of servers that the database keeps; those that are in the files too are told apart by {@link onceEach}. */
async function* keptLines({ database }: LogRows, wanted: LogWanted) {
  let after: { readonly at: string; readonly id: string } | undefined;
  for (;;) {
    const filter = { ...narrowed(wanted), after, limit: page };
    const lines = await withActor(database, 'system', (tx) => serverLogsBetween(tx, filter));
    yield* lines.map(keptEntry);
    after = lines.at(-1);
    if (after === undefined || lines.length < page) return;
  }
}

function narrowed({ services, since, until, trace, user }: LogWanted) {
  const servers = services?.flatMap((name) => (name.startsWith('mcp:') ? [name.slice('mcp:'.length)] : []));
  return { servers, since, until, trace, userId: user };
}

function keptEntry({ server, line, at, level }: ServerLogLine): LogEntry {
  const entry = lineEntry({ service: `mcp:${server}`, line });
  return { ...entry, at, ...(level === undefined ? {} : { level }) };
}

/** Leaves out what comes a second time: a line stands in its file, and the database may have it too. */
export async function* onceEach(
  files: AsyncIterable<LogEntry> | Iterable<LogEntry>,
  rows: AsyncIterable<LogEntry> | Iterable<LogEntry>,
): AsyncGenerator<LogEntry, void, undefined> {
  // Of one time, since both are in order: how often each line came from one side only.
  let at = '';
  let ahead = new Map<string, number>();
  const marked = async function* (entries: typeof files, side: number) {
    for await (const entry of entries) yield { ...entry, side };
  };
  for await (const { side, ...entry } of mergedAsync(marked(files, 1), marked(rows, -1)) as AsyncIterable<Sided>) {
    if (entry.source !== 'lines' || !entry.service.startsWith('mcp:')) {
      yield entry;
      continue;
    }
    if (entry.at !== at) {
      at = entry.at;
      ahead = new Map();
    }
    const key = `${entry.service} ${entry.raw.slice(0, serverLogLineLength)}`;
    const count = ahead.get(key) ?? 0;
    ahead.set(key, count + side);
    // The other side has given it already.
    if (count * side >= 0) yield entry;
  }
}

type Sided = LogEntry & { readonly side: number };

async function* none(): AsyncGenerator<LogEntry, void, undefined> {}
