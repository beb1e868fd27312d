import type { JWK } from 'jose';
import type { Queryable } from '../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';

/** A pool or an open transaction. */
export type Connection = Pick<Queryable, 'query'>;

export interface PublishedKey {
  readonly kid: string;
  readonly publicJwk: JWK;
  /** When it stopped signing; absent while it signs or is about to. */
  readonly retiredAt?: Date;
}

export interface SigningKeyRow {
  readonly kid: string;
  readonly privateJwe: string;
}

export interface NewKey {
  readonly kid: string;
  readonly publicJwk: JWK;
  readonly privateJwe: string;
}

/** Key changes happen one at a time in the whole database; the lock ends with the transaction. */
export async function lockKeys(connection: Connection): Promise<void> {
  await connection.query("SELECT pg_advisory_xact_lock(hashtextextended('systemprompt.signing_keys', 0))");
}

/** Every key that a token may still be signed with: the next, the active, and those retired within `overlapSeconds`. */
export async function publishedKeys(connection: Connection, overlapSeconds: number): Promise<PublishedKey[]> {
  const rows = await connection.query<{ kid: string; public_jwk: JWK; retired_at: Date | null }>(
    `SELECT kid, public_jwk, retired_at FROM signing_keys
     WHERE retired_at IS NULL OR retired_at > now() - make_interval(secs => $1) ORDER BY created_at, kid`,
    [overlapSeconds],
  );
  return rows.map((row) => ({
    kid: row.kid,
    publicJwk: row.public_jwk,
    ...(row.retired_at === null ? {} : { retiredAt: row.retired_at }),
  }));
}

export async function keyWithStatus(
  connection: Connection,
  status: 'next' | 'active',
): Promise<SigningKeyRow | undefined> {
  const [row] = await connection.query<{ kid: string; private_jwe: string }>(
    'SELECT kid, private_jwe FROM signing_keys WHERE status = $1',
    [status],
  );
  return row && { kid: row.kid, privateJwe: row.private_jwe };
}

/** Publishes a key that does not sign yet. */
export async function insertNextKey(connection: Connection, key: NewKey): Promise<void> {
  await connection.query(
    "INSERT INTO signing_keys (kid, alg, status, public_jwk, private_jwe) VALUES ($1, 'ES256', 'next', $2, $3)",
    [key.kid, JSON.stringify(key.publicJwk), key.privateJwe],
  );
}

/** The active key stops signing for good: its private half is dropped. */
export async function retireActiveKey(connection: Connection): Promise<string | undefined> {
  const [row] = await connection.query<{ kid: string }>(
    `UPDATE signing_keys SET status = 'retired', retired_at = now(), private_jwe = NULL
     WHERE status = 'active' RETURNING kid`,
  );
  return row?.kid;
}

export async function activateNextKey(connection: Connection): Promise<string | undefined> {
  const [row] = await connection.query<{ kid: string }>(
    "UPDATE signing_keys SET status = 'active', activated_at = now() WHERE status = 'next' RETURNING kid",
  );
  return row?.kid;
}

/** Removes keys retired longer ago than `overlapSeconds`; 0 removes every retired key. */
export async function deleteRetiredKeys(connection: Connection, overlapSeconds: number): Promise<void> {
  await connection.query(
    "DELETE FROM signing_keys WHERE status = 'retired' AND retired_at <= now() - make_interval(secs => $1)",
    [overlapSeconds],
  );
}

export interface SessionRow {
  readonly id: SessionId;
  readonly user_id: UserId;
  readonly client: string;
  readonly user_agent: string | null;
  readonly created_at: Date;
  readonly last_seen_at: Date;
  readonly expires_at: Date;
  readonly revoked_at: Date | null;
}

export async function insertSession(
  connection: Connection,
  session: {
    readonly userId: UserId;
    readonly client: string;
    readonly userAgent?: string;
    readonly ttlSeconds: number;
  },
): Promise<SessionRow> {
  const [row] = await connection.query<SessionRow>(
    `INSERT INTO user_sessions (user_id, client, user_agent, expires_at)
     VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING *`,
    [session.userId, session.client, session.userAgent ?? null, session.ttlSeconds],
  );
  if (row === undefined) throw new Error('The session is not there after it was added');
  return row;
}

/** Ends a session; undefined when there is none with that id. Ending it twice keeps the first time. */
export async function revokeSession(connection: Connection, id: SessionId): Promise<SessionRow | undefined> {
  const [row] = await connection.query<SessionRow>(
    'UPDATE user_sessions SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING *',
    [id],
  );
  return row;
}

/** Remembers that a session was used, at most once a minute. */
export async function touchSession(connection: Connection, id: SessionId): Promise<void> {
  await connection.query(
    "UPDATE user_sessions SET last_seen_at = now() WHERE id = $1 AND last_seen_at < now() - interval '1 minute'",
    [id],
  );
}

/** Ended sessions whose tokens would still be accepted by their time, `graceSeconds` of clock skew included. */
export async function revokedSessions(
  connection: Connection,
  graceSeconds: number,
): Promise<{ readonly id: SessionId; readonly expiresAt: Date }[]> {
  const rows = await connection.query<{ id: SessionId; expires_at: Date }>(
    `SELECT id, expires_at FROM user_sessions
     WHERE revoked_at IS NOT NULL AND expires_at > now() - make_interval(secs => $1)`,
    [graceSeconds],
  );
  return rows.map((row) => ({ id: row.id, expiresAt: row.expires_at }));
}
