import type { Queryable } from '../../infra/database/connection.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import type { OutcomeStatus } from './rows.ts';
import type { ToolIntentsRow, ToolOutcomesRow } from './tables.ts';

/** One call as the audit knows it. `open`: no outcome yet. */
export interface AuditEntry {
  readonly executionId: ExecutionId;
  readonly server: string;
  readonly tool: string;
  readonly userId: string;
  readonly userName: string;
  readonly sessionId: string;
  readonly client?: string;
  readonly scopes: readonly string[];
  readonly required: readonly string[];
  readonly inputDigest: string;
  /** Redacted and bounded. */
  readonly input: unknown;
  readonly decision: 'allowed' | 'refused';
  readonly startedAt: Date;
  readonly status: OutcomeStatus | 'open';
  readonly error?: string;
  readonly outputDigest?: string;
  readonly outputBytes?: number;
  /** Microseconds. */
  readonly latencyUs?: number;
  readonly upstreamUs?: number;
  readonly recordedAt?: Date;
  readonly apiInstance: string;
  /** The virtual server that it came by. */
  readonly via?: string;
  /** What rules and hooks said before the call, and of its answer. */
  readonly policy?: unknown;
  readonly answerPolicy?: unknown;
  readonly traceId?: string;
}

export interface EntryQuery {
  readonly userId?: string | undefined;
  readonly userName?: string | undefined;
  readonly server?: string | undefined;
  readonly tool?: string | undefined;
  readonly status?: OutcomeStatus | 'open' | undefined;
  readonly decision?: 'allowed' | 'refused' | undefined;
  /** One of the scopes that server and tool asked for. */
  readonly scope?: string | undefined;
  /** Execution ids at or above, and strictly below. */
  readonly from?: string | undefined;
  readonly before?: string | undefined;
  readonly executionId?: string | undefined;
  /** How the trace id begins: hexadecimal digits in lower case. */
  readonly tracePrefix?: string | undefined;
  /** Strictly above; and from the oldest to the newest instead. */
  readonly after?: string | undefined;
  readonly oldestFirst?: boolean;
  readonly limit: number;
}

/** The outcome's columns are null while there is none. */
type EntryRow = ToolIntentsRow & {
  readonly [K in keyof Omit<ToolOutcomesRow, 'execution_id' | 'policy'>]: ToolOutcomesRow[K] | null;
} & { readonly answer_policy: unknown };

/** Entries from the newest to the oldest, unless told otherwise. */
export async function findEntries(database: Queryable, query: EntryQuery): Promise<AuditEntry[]> {
  const conditions: string[] = [];
  const params: unknown[] = [];
  const where = (sql: string, value: unknown) => {
    if (value === undefined) return;
    params.push(value);
    conditions.push(sql.replace('?', `$${params.length}`));
  };
  where('i.execution_id = ?', query.executionId);
  where('i.execution_id >= ?', query.from);
  where('i.execution_id < ?', query.before);
  where('i.execution_id > ?', query.after);
  where('i.user_id = ?', query.userId);
  where('i.user_name = ?', query.userName);
  where('starts_with(i.trace_id, ?)', query.tracePrefix);
  where('i.server = ?', query.server);
  where('i.tool = ?', query.tool);
  where('i.decision = ?', query.decision);
  where('? = ANY (i.required)', query.scope);
  if (query.status === 'open') conditions.push('o.execution_id IS NULL');
  else where('o.status = ?', query.status);
  params.push(query.limit);
  const rows = await database.query<EntryRow>(
    `SELECT i.*, o.status, o.error, o.output_digest, o.output_bytes, o.latency_us, o.upstream_us, o.recorded_at,
       o.policy AS answer_policy
     FROM audit.tool_intents i LEFT JOIN audit.tool_outcomes o USING (execution_id)
     ${conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`}
     ORDER BY i.execution_id ${query.oldestFirst === true ? '' : 'DESC'} LIMIT $${params.length}`,
    params,
  );
  return rows.map(toEntry);
}

/**
 * Closes what an API process left open when it ended: each of its intents without an outcome gets `interrupted`.
 * @returns how many there were
 */
export async function closeInterrupted(database: Queryable, apiInstance: string): Promise<number> {
  const [row] = await database.query<{ closed: number }>('SELECT audit.close_interrupted($1) AS closed', [apiInstance]);
  return row?.closed ?? 0;
}

function toEntry(row: EntryRow): AuditEntry {
  return {
    executionId: row.execution_id as ExecutionId,
    apiInstance: row.api_instance,
    server: row.server,
    tool: row.tool,
    userId: row.user_id,
    userName: row.user_name,
    sessionId: row.session_id,
    scopes: row.scopes,
    required: row.required,
    inputDigest: row.input_digest,
    input: row.input,
    decision: row.decision,
    startedAt: row.started_at,
    status: row.status ?? 'open',
    ...present('client', row.client),
    ...present('error', row.error),
    ...present('outputDigest', row.output_digest),
    ...present('outputBytes', row.output_bytes),
    ...present('latencyUs', row.latency_us),
    ...present('upstreamUs', row.upstream_us),
    ...present('recordedAt', row.recorded_at),
    ...present('via', row.via),
    ...present('policy', row.policy),
    ...present('answerPolicy', row.answer_policy),
    ...present('traceId', row.trace_id),
  };
}

function present<K extends string, V>(key: K, value: V | null): { readonly [P in K]?: V } {
  return (value === null ? {} : { [key]: value }) as { readonly [P in K]?: V };
}
