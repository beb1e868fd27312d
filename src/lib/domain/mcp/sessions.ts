import type { Queryable } from '../../infra/database/connection.ts';
import type { ServiceInstanceId, SessionId, UserId } from '../../shared/ids.ts';
import type { SessionsRow } from './tables.ts';

/** Why a session is over: closed by its client, unused, ended by an order, unknown to its server, or the server's run is over. */
export type SessionEnd = NonNullable<SessionsRow['end_reason']>;

export type SessionTransport = 'streamable-http' | 'sse';

/** A session that an API process serves. */
export interface ServedSession {
  readonly id: string;
  readonly server: string;
  readonly instanceId: ServiceInstanceId;
  readonly upstreamId: string;
  readonly userId: UserId;
  readonly signInId: SessionId;
  readonly client: string;
  readonly transport: SessionTransport;
  readonly protocolVersion: string | undefined;
  readonly clientName: string | undefined;
  readonly clientVersion: string | undefined;
  /** How long ago it began and was last used, in ms. */
  readonly ageMs: number;
  readonly idleMs: number;
}

/** A session that is over and of which its server is to be told. */
export interface UnsettledSession {
  readonly server: string;
  readonly instanceId: ServiceInstanceId;
  readonly upstreamId: string;
  readonly userId: UserId;
  readonly userName: string;
  readonly signInId: SessionId;
}

/** A session as it is shown. */
export interface ListedMcpSession {
  readonly id: string;
  readonly server: string;
  readonly user: string;
  readonly userId: UserId;
  readonly client: string;
  readonly transport: string;
  readonly protocolVersion?: string;
  readonly clientName?: string;
  readonly clientVersion?: string;
  readonly createdAt: Date;
  readonly activeAt: Date;
  readonly endedAt?: Date;
  readonly endReason?: SessionEnd;
}

/** Writes sessions down, or when they were last used; one that is over stays so, and one of a user who is gone is left out. */
export async function recordSessions(connection: Queryable, sessions: readonly ServedSession[]): Promise<void> {
  const column = <T>(read: (session: ServedSession) => T): T[] => sessions.map(read);
  await connection.query(
    `INSERT INTO mcp.sessions AS kept (id, server, instance_id, upstream_id, user_id, sign_in_id, client, transport,
       protocol_version, client_name, client_version, created_at, active_at)
     SELECT seen.id, server, instance_id, upstream_id, user_id, sign_in_id, client, transport, protocol_version, client_name,
       client_version, now() - make_interval(secs => age / 1000), now() - make_interval(secs => idle / 1000)
     FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
       $10::text[], $11::text[], $12::float8[], $13::float8[])
       AS seen (id, server, instance_id, upstream_id, user_id, sign_in_id, client, transport, protocol_version, client_name,
         client_version, age, idle)
     JOIN users ON users.id = seen.user_id
     ON CONFLICT (id) DO UPDATE SET active_at = greatest(kept.active_at, EXCLUDED.active_at),
       protocol_version = coalesce(EXCLUDED.protocol_version, kept.protocol_version)
     WHERE kept.ended_at IS NULL`,
    [
      column(({ id }) => id),
      column(({ server }) => server),
      column(({ instanceId }) => instanceId),
      column(({ upstreamId }) => upstreamId),
      column(({ userId }) => userId),
      column(({ signInId }) => signInId),
      column(({ client }) => client),
      column(({ transport }) => transport),
      column(({ protocolVersion }) => protocolVersion ?? null),
      column(({ clientName }) => clientName ?? null),
      column(({ clientVersion }) => clientVersion ?? null),
      column(({ ageMs }) => ageMs),
      column(({ idleMs }) => idleMs),
    ],
    { name: 'mcp-sessions-record' },
  );
}

/** Those of the sessions that are over. */
export async function endedAmong(connection: Queryable, ids: readonly string[]): Promise<string[]> {
  const rows = await connection.query<Pick<SessionsRow, 'id'>>(
    'SELECT id FROM mcp.sessions WHERE id = ANY($1::uuid[]) AND ended_at IS NOT NULL',
    [ids],
    { name: 'mcp-sessions-ended' },
  );
  return rows.map(({ id }) => id);
}

/** Ends sessions by what their server or client did: it needs no more word of it. */
export async function endSettled(connection: Queryable, ids: readonly string[], reason: SessionEnd): Promise<void> {
  await connection.query(
    `UPDATE mcp.sessions SET ended_at = now(), end_reason = $2, settled = true
     WHERE id = ANY($1::uuid[]) AND ended_at IS NULL`,
    [ids, reason],
  );
}

/** Ends what was not used for so long, in ms. @returns how many */
export async function endIdle(connection: Queryable, idleMs: number): Promise<number> {
  const rows = await connection.query(
    `UPDATE mcp.sessions SET ended_at = now(), end_reason = 'idle'
     WHERE ended_at IS NULL AND active_at < now() - make_interval(secs => $1::float8 / 1000) RETURNING id`,
    [idleMs],
  );
  return rows.length;
}

/** Ends the sessions of runs that are over, where the server has another one: nobody has them in memory any more. */
export async function endOfFormerRuns(connection: Queryable): Promise<void> {
  await connection.query(
    `UPDATE mcp.sessions AS old SET ended_at = now(), end_reason = 'restarted', settled = true
     WHERE ended_at IS NULL
       AND EXISTS (SELECT FROM services s WHERE s.name = 'mcp:' || old.server AND s.instance_id IS NOT NULL)
       AND NOT EXISTS (SELECT FROM services s WHERE s.instance_id = old.instance_id)`,
  );
}

/** Takes over the telling of servers that sessions of theirs are over: each is given to one caller, once. */
export async function claimUnsettled(
  connection: Queryable,
  instances: readonly ServiceInstanceId[],
): Promise<UnsettledSession[]> {
  return connection.query<UnsettledSession>(
    `UPDATE mcp.sessions AS over SET settled = true FROM users
     WHERE users.id = over.user_id AND over.id IN (
       SELECT id FROM mcp.sessions WHERE ended_at IS NOT NULL AND NOT settled AND instance_id = ANY($1::uuid[])
       LIMIT 500 FOR UPDATE SKIP LOCKED)
     RETURNING over.server, over.instance_id AS "instanceId", over.upstream_id AS "upstreamId", over.user_id AS "userId",
       users.name AS "userName", over.sign_in_id AS "signInId"`,
    [instances],
  );
}

/** Forgets sessions that ended so many days ago. */
export async function forgetSessions(connection: Queryable, days: number): Promise<void> {
  await connection.query(
    `DELETE FROM mcp.sessions WHERE id IN
       (SELECT id FROM mcp.sessions WHERE ended_at < now() - make_interval(days => $1) LIMIT 5000)`,
    [days],
  );
}

export interface McpSessionFilter {
  /** Of this user alone. */
  readonly userId?: UserId | undefined;
  readonly server?: string | undefined;
  /** Those that are over too. */
  readonly all: boolean;
  readonly limit: number;
}

/** Sessions, those that were used last first. */
export async function listMcpSessions(connection: Queryable, filter: McpSessionFilter): Promise<ListedMcpSession[]> {
  const rows = await connection.query<SessionsRow & { readonly user_name: string }>(
    `SELECT s.*, u.name AS user_name FROM mcp.sessions s JOIN users u ON u.id = s.user_id
     WHERE ($1::uuid IS NULL OR s.user_id = $1) AND ($2::text IS NULL OR s.server = $2) AND ($3 OR s.ended_at IS NULL)
     ORDER BY s.active_at DESC, s.id LIMIT $4`,
    [filter.userId ?? null, filter.server ?? null, filter.all, filter.limit],
  );
  return rows.map(listed);
}

/** Ends sessions by an order: one, or all of a user or a server. @returns those that were open */
export async function endMcpSessions(
  connection: Queryable,
  which: { readonly id?: string; readonly userId?: UserId | undefined; readonly server?: string | undefined },
): Promise<ListedMcpSession[]> {
  const rows = await connection.query<SessionsRow & { readonly user_name: string }>(
    `UPDATE mcp.sessions AS s SET ended_at = now(), end_reason = 'ended' FROM users u
     WHERE u.id = s.user_id AND s.ended_at IS NULL AND ($1::uuid IS NULL OR s.id = $1)
       AND ($2::uuid IS NULL OR s.user_id = $2) AND ($3::text IS NULL OR s.server = $3)
     RETURNING s.*, u.name AS user_name`,
    [which.id ?? null, which.userId ?? null, which.server ?? null],
  );
  return rows.map(listed);
}

function listed(row: SessionsRow & { readonly user_name: string }): ListedMcpSession {
  return {
    id: row.id,
    server: row.server,
    user: row.user_name,
    userId: row.user_id as UserId,
    client: row.client,
    transport: row.transport,
    ...(row.protocol_version === null ? {} : { protocolVersion: row.protocol_version }),
    ...(row.client_name === null ? {} : { clientName: row.client_name }),
    ...(row.client_version === null ? {} : { clientVersion: row.client_version }),
    createdAt: row.created_at,
    activeAt: row.active_at,
    ...(row.ended_at === null ? {} : { endedAt: row.ended_at }),
    ...(row.end_reason === null ? {} : { endReason: row.end_reason }),
  };
}
