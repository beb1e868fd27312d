import type { AuditReader } from '../../domain/governance/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { eventsBetween } from '../supervisor/event-rows.ts';
import { callEntry, eventEntry, type LogEntry, type LogWanted } from './entries.ts';

const page = 500;

/** What the database has to say: the changes of the services' states, and the tool calls. */
export interface LogRows {
  readonly database: Queryable;
  readonly installationId: string;
  readonly audit: AuditReader;
  readonly actor: Actor;
}

/** All rows in the order of their times, a page at a time. What is wanted is a narrowing, not a filter: sift what comes. */
export async function* rowEntries(rows: LogRows, wanted: LogWanted): AsyncGenerator<LogEntry, void, undefined> {
  const events = has(wanted, 'events') ? allEvents(rows, wanted) : none();
  const calls = has(wanted, 'calls') ? allCalls(rows, wanted) : none();
  yield* mergedAsync(events, calls);
}

/** The newest rows before a time, in the order of their times, at most so many of each kind. */
export async function newestRows(rows: LogRows, wanted: LogWanted, limit: number): Promise<LogEntry[]> {
  const { database, installationId, audit, actor } = rows;
  const { since, until } = wanted;
  const events = has(wanted, 'events')
    ? await eventsBetween(database, installationId, { since, until, newest: true, limit })
    : [];
  const calls = has(wanted, 'calls') ? await audit.between(actor, { since, until, newest: true, limit }) : [];
  return [...events.map(eventEntry), ...calls.map(callEntry)];
}

/** Two streams that are in order, as one. */
export async function* mergedAsync(
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
function has({ sources, trace }: LogWanted, source: 'events' | 'calls'): boolean {
  if (source === 'events' && trace !== undefined) return false;
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

async function* none(): AsyncGenerator<LogEntry, void, undefined> {}
