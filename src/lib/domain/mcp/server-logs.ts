import type { Queryable } from '../../infra/database/connection.ts';
import type { ServerLogsRow } from './tables.ts';

/** Longest line that is kept, in characters; a longer one is cut. */
export const serverLogLineLength = 8_000;

/** A line of an MCP server's log, redacted. */
export interface ServerLogLine {
  readonly server: string;
  readonly instanceId: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly level?: string | undefined;
  readonly executionId?: string | undefined;
  readonly traceId?: string | undefined;
  readonly userId?: string | undefined;
  readonly line: string;
}

/** Which lines are wanted; all that is told must hold. */
export interface ServerLogFilter {
  readonly servers?: readonly string[] | undefined;
  /** ISO 8601, UTC, both included. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** How an execution or trace id begins, lower case. */
  readonly trace?: string | undefined;
  readonly userId?: string | undefined;
  /** Where a page before ended. */
  readonly after?: { readonly at: string; readonly id: string } | undefined;
  /** From the newest on. */
  readonly newest?: boolean;
  readonly limit: number;
}

/** Keeps lines; one that is there already stays as it is. A user who is gone is left out. @throws DatabaseUnavailableError */
export async function insertServerLogs(connection: Queryable, lines: readonly ServerLogLine[]): Promise<void> {
  const rows = lines.map((one) => ({ ...one, line: stored(one.line).slice(0, serverLogLineLength).toWellFormed() }));
  await connection.query(
    `INSERT INTO mcp.server_logs (server, instance_id, at, level, execution_id, trace_id, user_id, line, digest)
     SELECT server, "instanceId", at, level, "executionId", "traceId", u.id, line, sha256(convert_to(line, 'UTF8'))
     FROM jsonb_to_recordset($1::jsonb) AS l (server text, "instanceId" uuid, at timestamptz, level text,
       "executionId" uuid, "traceId" text, "userId" uuid, line text)
     LEFT JOIN users u ON u.id = l."userId"
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(rows)],
    { name: 'mcp-server-logs-insert' },
  );
}

/** Without the byte that PostgreSQL keeps in no text: it is in no line of ours, but may be in one of a program's. */
function stored(line: string): string {
  return line.replaceAll('\0', '');
}

/** When the newest line of each run is from that has any, ISO 8601. @throws DatabaseUnavailableError */
export async function newestServerLogs(connection: Queryable): Promise<ReadonlyMap<string, string>> {
  const rows = await connection.query<{ instance_id: string; at: Date }>(
    "SELECT instance_id, max(at) AS at FROM mcp.server_logs WHERE at > now() - interval '1 day' GROUP BY instance_id",
  );
  return new Map(rows.map(({ instance_id, at }) => [instance_id, at.toISOString()]));
}

/** Lines in the order of their times. @throws DatabaseUnavailableError */
export async function serverLogsBetween(
  connection: Queryable,
  { servers, since, until, trace, userId, after, newest = false, limit }: ServerLogFilter,
): Promise<(ServerLogLine & { readonly id: string })[]> {
  const order = newest ? 'DESC' : 'ASC';
  const rows = await connection.query<ServerLogsRow>(
    `SELECT * FROM mcp.server_logs
     WHERE ($1::text[] IS NULL OR server = ANY($1)) AND ($2::timestamptz IS NULL OR at >= $2)
       AND ($3::timestamptz IS NULL OR at <= $3) AND ($4::uuid IS NULL OR user_id = $4)
       AND ($5::text IS NULL OR trace_id LIKE $5 || '%' OR execution_id::text LIKE $6 || '%')
       AND ($7::timestamptz IS NULL OR (at, id) > ($7, $8::bigint))
     ORDER BY at ${order}, id ${order} LIMIT $9`,
    [
      servers ?? null,
      since ?? null,
      until ?? null,
      userId ?? null,
      trace?.replaceAll('-', '') ?? null,
      trace ?? null,
      after?.at ?? null,
      after?.id ?? null,
      limit,
    ],
  );
  const lines = rows.map((row) => ({
    id: String(row.id),
    server: row.server,
    instanceId: row.instance_id,
    at: row.at.toISOString(),
    level: row.level ?? undefined,
    executionId: row.execution_id ?? undefined,
    traceId: row.trace_id ?? undefined,
    userId: row.user_id ?? undefined,
    line: row.line,
  }));
  return newest ? lines.reverse() : lines;
}

/** Forgets lines that are older than so many days, and of each server all but the newest so many. @returns how many */
export async function forgetServerLogs(connection: Queryable, days: number, most: number): Promise<number> {
  const [row] = await connection.query<{ count: number }>(
    `WITH gone AS (
       DELETE FROM mcp.server_logs l USING (
         SELECT server, (SELECT k.id FROM mcp.server_logs k WHERE k.server = s.server ORDER BY k.id DESC OFFSET $2 LIMIT 1) AS last
         FROM (SELECT DISTINCT server FROM mcp.server_logs) s
       ) bound
       WHERE l.server = bound.server AND (l.at < now() - make_interval(days => $1) OR l.id <= bound.last)
       RETURNING 1)
     SELECT count(*)::int AS count FROM gone`,
    [days, most],
  );
  return row?.count ?? 0;
}
