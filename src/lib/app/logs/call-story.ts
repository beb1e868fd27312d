import type { AuditEntry } from '../../domain/governance/index.ts';
import { NotFoundError, UsageError } from '../../shared/errors.ts';
import type { LogEntry } from './entries.ts';
import { allEntries, type LogPlaces } from './index.ts';

/** Changes of services so long before and after a call are told with it, in ms. */
const aroundMs = 30_000;
const lineLimit = 1_000;
const eventLimit = 50;

/** All that is known of one call. */
export interface CallStory {
  /** The call's own rows; undefined when the database can't be asked, or knows no such call. */
  readonly call: AuditEntry | undefined;
  readonly trace: string;
  readonly lines: readonly LogEntry[];
  /** Changes of the services around it. */
  readonly events: readonly LogEntry[];
  /** There are more lines than are told. */
  readonly more: boolean;
}

/**
 * One call with its rows, the lines that carry its id, and what happened to the services around it.
 *
 * @param id an execution or trace id, or how one begins; lower case
 * @throws UsageError when several calls begin so; NotFoundError when nothing does
 */
export async function callStory(places: LogPlaces, id: string): Promise<CallStory> {
  const { rows } = places;
  const calls = rows === undefined ? [] : await rows.audit.startingWith(rows.actor, id);
  if (calls.length > 1) {
    throw new UsageError(`${calls.length === 10 ? 'Ten or more' : calls.length} calls begin with ${id}`, {
      hint: 'Give more of the id',
      next: calls.slice(0, 3).map(({ executionId }) => `infra logs audit ${executionId}`),
    });
  }
  const [call] = calls;
  const trace = call?.executionId ?? id;
  const span = call === undefined ? {} : spanOf(call);
  const lines: LogEntry[] = [];
  let more = false;
  for await (const entry of allEntries(places, { ...span, trace, sources: ['lines'] })) {
    more = lines.length === lineLimit;
    if (more) break;
    lines.push(entry);
  }
  if (call === undefined && lines.length === 0) {
    throw new NotFoundError(`There is no call ${id}, and no line that names it`, { next: ['admin audit list'] });
  }
  return { call, trace, lines, events: call === undefined ? [] : await eventsAround(places, call), more };
}

/** Lines of a call stand around it in time: what is older or newer need not be looked through. */
function spanOf(call: AuditEntry): { since: string; until: string } {
  const begin = call.startedAt.getTime();
  const end = call.recordedAt?.getTime() ?? Number.POSITIVE_INFINITY;
  const until = end === Number.POSITIVE_INFINITY ? Date.now() : end + aroundMs;
  return { since: new Date(begin - aroundMs).toISOString(), until: new Date(until).toISOString() };
}

async function eventsAround(places: LogPlaces, call: AuditEntry): Promise<LogEntry[]> {
  const concerned = (service: string): boolean =>
    service === `mcp:${call.server}` || service === 'database' || service.startsWith('api');
  const events: LogEntry[] = [];
  for await (const entry of allEntries(places, { ...spanOf(call), sources: ['events'] })) {
    if (concerned(entry.service)) events.push(entry);
    if (events.length === eventLimit) break;
  }
  return events;
}
