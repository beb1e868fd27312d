import { hash } from 'node:crypto';
import type { Queryable } from '../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';

/**
 * Remembers a nonce until its signature is too old, in all processes.
 * @param until ms since the epoch
 * @returns false when it was used before
 */
export async function takeNonce(connection: Queryable, owner: string, nonce: string, until: number): Promise<boolean> {
  const rows = await connection.query(
    `INSERT INTO dpop_proofs (proof, expires_at) VALUES ($1, to_timestamp($2::float8 / 1000))
     ON CONFLICT (proof) DO NOTHING RETURNING 1`,
    [hash('sha256', `proxy ${owner} ${nonce}`, 'buffer'), until],
    { name: 'use_nonce_once' },
  );
  return rows.length === 1;
}

/** The session of a user through a proxy: the one that lasts, or a new one of a day. */
export function proxySession(connection: Queryable, userId: UserId, client: string): Promise<SessionId> {
  return lastingSession(connection, userId, client, 'proxy');
}

/** The session of a user with somebody who vouches for them: the one that lasts, or a new one of a day. */
export async function lastingSession(
  connection: Queryable,
  userId: UserId,
  client: string,
  kind: 'proxy' | 'service',
): Promise<SessionId> {
  const [row] = await connection.query<{ id: string }>(
    `WITH found AS (
       SELECT id FROM user_sessions
       WHERE user_id = $1 AND client = $2 AND kind = $3 AND revoked_at IS NULL AND expires_at > now() + interval '1 hour'
       ORDER BY expires_at DESC LIMIT 1
     ), made AS (
       INSERT INTO user_sessions (user_id, client, kind, expires_at)
       SELECT $1, $2, $3, now() + interval '1 day' WHERE NOT EXISTS (SELECT 1 FROM found) RETURNING id
     )
     SELECT id FROM found UNION ALL SELECT id FROM made`,
    [userId, client, kind],
    { name: 'lasting_session' },
  );
  if (row === undefined) throw new Error('The session is not there after it was added');
  return row.id as SessionId;
}

/**
 * Whether a session of that kind was ended at or after a moment: what was made before it is of that session.
 * @param since seconds since the epoch
 */
export async function endedSince(
  connection: Queryable,
  session: { readonly userId: UserId; readonly client: string; readonly kind: 'proxy' | 'service' },
  since: number,
): Promise<boolean> {
  const [row] = await connection.query<{ ended: boolean }>(
    `SELECT EXISTS (SELECT FROM user_sessions
       WHERE user_id = $1 AND client = $2 AND kind = $3 AND revoked_at >= to_timestamp($4::float8)) AS ended`,
    [session.userId, session.client, session.kind, since],
    { name: 'session_ended_since' },
  );
  return row?.ended === true;
}
