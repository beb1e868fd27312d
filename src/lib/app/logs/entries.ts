import type { AuditEntry } from '../../domain/governance/index.ts';
import { logRecord } from '../../shared/text/log-line.ts';
import type { ServiceEvent } from '../supervisor/event-types.ts';
import { type LogLevel, logLevels } from '../supervisor/log-lines.ts';
import type { ServiceLogLine } from '../supervisor/status.ts';

export const logSources = ['lines', 'events', 'calls'] as const;
export type LogSourceName = (typeof logSources)[number];

/** One thing that was logged, wherever: a line of a file, a change of a service's state, a tool call. */
export interface LogEntry {
  readonly source: LogSourceName;
  /** ISO 8601, UTC; of a line without one, that of the line before it. Empty when nothing is known. */
  readonly at: string;
  readonly service: string;
  readonly level?: string;
  readonly message: string;
  /** What a structured line says beside its message, as text. */
  readonly facts?: string;
  /** Execution id, where it is known. */
  readonly trace?: string;
  /** Id of the user whose call it is about, where it is known. */
  readonly user?: string;
  /** The line as it stands in the file, the event or the call as its row says. */
  readonly raw: string;
}

/** Which entries are wanted. */
export interface LogWanted {
  /** Names of services. */
  readonly services?: readonly string[] | undefined;
  /** Nothing less severe; entries without a level pass. */
  readonly level?: LogLevel | undefined;
  /** ISO 8601, UTC, both included. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** The beginning of an execution or trace id, in lower case. */
  readonly trace?: string | undefined;
  /** Id of the user whose calls it is about. */
  readonly user?: string | undefined;
  readonly sources?: readonly LogSourceName[] | undefined;
}

/** Whether an entry is wanted. */
export function isWanted(entry: LogEntry, wanted: LogWanted): boolean {
  const { services, level, since, until, trace, user, sources } = wanted;
  if (user !== undefined && entry.user !== user) return false;
  if (sources !== undefined && !sources.includes(entry.source)) return false;
  if (services !== undefined && !services.includes(entry.service)) return false;
  if (since !== undefined && entry.at !== '' && entry.at < since) return false;
  if (until !== undefined && entry.at !== '' && entry.at > until) return false;
  if (level !== undefined) {
    const rank = logLevels.indexOf(entry.level as LogLevel);
    if (rank >= 0 && rank < logLevels.indexOf(level)) return false;
  }
  return trace === undefined || (entry.trace?.startsWith(trace) ?? false) || entry.raw.toLowerCase().includes(trace);
}

/** Two sources that are in order, merged. */
export function byTime(a: LogEntry, b: LogEntry): number {
  return a.at < b.at ? -1 : a.at > b.at ? 1 : 0;
}

const userMember = /"user":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"/;
const traceMember = /"(?:execution|executionId)":"([0-9a-f-]{36})"/;

/** @param before the line of the same run before it: what has no time or level of its own goes on about that */
export function lineEntry({ service, line }: Pick<ServiceLogLine, 'service' | 'line'>, before?: LogEntry): LogEntry {
  const { time, level, message, facts } = logRecord(line);
  const spoken = level ?? (time === undefined ? before?.level : undefined);
  const trace = traceMember.exec(line)?.[1];
  const user = userMember.exec(line)?.[1];
  return {
    source: 'lines',
    at: time ?? before?.at ?? '',
    service,
    ...(spoken === undefined ? {} : { level: spoken }),
    message,
    ...(facts === undefined ? {} : { facts }),
    ...(trace === undefined ? {} : { trace }),
    ...(user === undefined ? {} : { user }),
    raw: line,
  };
}

const grave = new Set(['failed', 'gave_up']);
const odd = new Set(['unhealthy', 'backoff', 'died', 'gone', 'not_serving']);

export function eventEntry(event: ServiceEvent): LogEntry {
  const words = [event.to_state, event.event];
  const level = words.some((word) => grave.has(word)) ? 'error' : words.some((word) => odd.has(word)) ? 'warn' : 'info';
  const why = event.reason === null ? '' : `: ${event.reason.replaceAll(/\s+/g, ' ')}`;
  return {
    source: 'events',
    at: event.at,
    service: event.service,
    level,
    message: `${event.from_state} → ${event.to_state} (${event.event})${why}`,
    raw: JSON.stringify(event),
  };
}

const callLevels: Readonly<Record<string, string>> = {
  success: 'info',
  open: 'info',
  cancelled: 'info',
  failed: 'error',
  timeout: 'error',
  interrupted: 'error',
};

export function callEntry(call: AuditEntry): LogEntry {
  const took = call.latencyUs === undefined ? '' : ` in ${Math.round(call.latencyUs / 1_000)} ms`;
  const error = call.error === undefined ? '' : `: ${call.error.replaceAll(/\s+/g, ' ')}`;
  const { executionId, server, tool, userName, status, decision } = call;
  return {
    source: 'calls',
    // The id begins with the time (RFC 9562, 5.7), so that the order by time is the order by id.
    at: new Date(Number.parseInt(executionId.replace('-', '').slice(0, 12), 16)).toISOString(),
    service: `mcp:${server}`,
    level: callLevels[status] ?? 'warn',
    message: `${userName} called ${tool}: ${status}${took}${error}`,
    facts: `execution=${executionId} decision=${decision}`,
    trace: executionId,
    user: call.userId,
    raw: JSON.stringify({ execution_id: executionId, server, tool, user: userName, status, decision }),
  };
}
