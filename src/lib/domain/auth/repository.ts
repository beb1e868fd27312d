import type { JWK } from 'jose';
import type { Queryable } from '../../infra/database/connection.ts';
import { takeLock } from '../../infra/database/locks.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import type { SigningKeysRow, UserSessionsRow } from './tables.ts';

/** Whose tokens a key signs: those of one resource, by its audience, or of all that have none of their own. */
export type KeyOwner = string | undefined;

export interface PublishedKey {
  readonly kid: string;
  readonly resource: KeyOwner;
  readonly publicJwk: JWK;
  /** When it stopped signing; absent while it signs or is about to. */
  readonly retiredAt?: Date;
}

export interface SealedKey {
  readonly kid: string;
  readonly privateJwe: string;
}

export interface NewKey {
  readonly kid: string;
  readonly resource: KeyOwner;
  readonly publicJwk: JWK;
  readonly privateJwe: string;
}

/**
 * Key changes happen one at a time in the whole database; the lock ends with the transaction. It is the table's, since a
 * number can be locked by every role that gets into the database, that of an MCP server among them.
 * @throws TimeoutError naming who holds it
 */
export async function lockKeys(tx: Queryable, waitMs?: number): Promise<void> {
  const options = { purpose: 'Changing the signing keys', ...(waitMs === undefined ? {} : { waitMs }) };
  await takeLock(tx, { table: 'signing_keys' }, options);
}

/** Every key that a token may still be signed with: the next, the active, and those retired within `overlapSeconds`. */
export async function publishedKeys(connection: Queryable, overlapSeconds: number): Promise<PublishedKey[]> {
  const rows = await connection.query<Pick<SigningKeysRow, 'kid' | 'resource' | 'public_jwk' | 'retired_at'>>(
    `SELECT kid, resource, public_jwk, retired_at FROM signing_keys
     WHERE retired_at IS NULL OR retired_at > now() - make_interval(secs => $1) ORDER BY created_at, kid`,
    [overlapSeconds],
  );
  return rows.map((row) => ({
    kid: row.kid,
    resource: row.resource ?? undefined,
    publicJwk: row.public_jwk as JWK,
    ...(row.retired_at === null ? {} : { retiredAt: row.retired_at }),
  }));
}

export async function keyWithStatus(
  connection: Queryable,
  status: 'next' | 'active',
  resource: KeyOwner,
): Promise<SealedKey | undefined> {
  const [row] = await connection.query<Pick<SigningKeysRow, 'kid' | 'private_jwe'>>(
    'SELECT kid, private_jwe FROM signing_keys WHERE status = $1 AND resource IS NOT DISTINCT FROM $2',
    [status, resource ?? null],
  );
  if (row === undefined || row.private_jwe === null) return undefined; // only a retired key has no private half
  return { kid: row.kid, privateJwe: row.private_jwe };
}

/** Publishes a key that does not sign yet. */
export async function insertNextKey(connection: Queryable, key: NewKey): Promise<void> {
  await connection.query(
    `INSERT INTO signing_keys (kid, resource, alg, status, public_jwk, private_jwe)
     VALUES ($1, $2, 'ES256', 'next', $3, $4)`,
    [key.kid, key.resource ?? null, JSON.stringify(key.publicJwk), key.privateJwe],
  );
}

/** Every private key that is kept. */
export async function sealedKeys(connection: Queryable): Promise<SealedKey[]> {
  const rows = await connection.query<{ kid: string; private_jwe: string }>(
    'SELECT kid, private_jwe FROM signing_keys WHERE private_jwe IS NOT NULL ORDER BY kid',
  );
  return rows.map(({ kid, private_jwe }) => ({ kid, privateJwe: private_jwe }));
}

export async function replaceSealed(connection: Queryable, { kid, privateJwe }: SealedKey): Promise<void> {
  await connection.query('UPDATE signing_keys SET private_jwe = $2 WHERE kid = $1', [kid, privateJwe]);
}

/** The active key stops signing for good: its private half is dropped. */
export async function retireActiveKey(connection: Queryable, resource: KeyOwner): Promise<string | undefined> {
  const [row] = await connection.query<Pick<SigningKeysRow, 'kid'>>(
    `UPDATE signing_keys SET status = 'retired', retired_at = now(), private_jwe = NULL
     WHERE status = 'active' AND resource IS NOT DISTINCT FROM $1 RETURNING kid`,
    [resource ?? null],
  );
  return row?.kid;
}

export async function activateNextKey(connection: Queryable, resource: KeyOwner): Promise<string | undefined> {
  const [row] = await connection.query<Pick<SigningKeysRow, 'kid'>>(
    `UPDATE signing_keys SET status = 'active', activated_at = now()
     WHERE status = 'next' AND resource IS NOT DISTINCT FROM $1 RETURNING kid`,
    [resource ?? null],
  );
  return row?.kid;
}

/** Removes keys retired longer ago than `overlapSeconds`, whosever they are. */
export async function deleteRetiredKeys(connection: Queryable, overlapSeconds: number): Promise<void> {
  await connection.query(
    "DELETE FROM signing_keys WHERE status = 'retired' AND retired_at <= now() - make_interval(secs => $1)",
    [overlapSeconds],
  );
}

/** Removes every retired key of one owner: what it signed is good no more. @returns the kids */
export async function revokeRetiredKeys(connection: Queryable, resource: KeyOwner): Promise<string[]> {
  const rows = await connection.query<Pick<SigningKeysRow, 'kid'>>(
    "DELETE FROM signing_keys WHERE status = 'retired' AND resource IS NOT DISTINCT FROM $1 RETURNING kid",
    [resource ?? null],
  );
  return rows.map(({ kid }) => kid);
}

/** What may be told of a key. */
export interface KeyFacts {
  readonly kid: string;
  readonly resource: KeyOwner;
  readonly status: 'next' | 'active' | 'retired';
  readonly createdAt: Date;
  readonly activatedAt: Date | undefined;
  readonly retiredAt: Date | undefined;
}

/** Every key, the general ones first, and of each owner the one that signs before the others. */
export async function allKeys(connection: Queryable): Promise<KeyFacts[]> {
  const rows = await connection.query<Omit<SigningKeysRow, 'alg' | 'public_jwk' | 'private_jwe'>>(
    `SELECT kid, resource, status, created_at, activated_at, retired_at FROM signing_keys
     ORDER BY resource NULLS FIRST, array_position(ARRAY['active', 'next', 'retired'], status), created_at DESC`,
  );
  return rows.map((row) => ({
    kid: row.kid,
    resource: row.resource ?? undefined,
    status: row.status,
    createdAt: row.created_at,
    activatedAt: row.activated_at ?? undefined,
    retiredAt: row.retired_at ?? undefined,
  }));
}

export async function insertSession(
  connection: Queryable,
  session: {
    readonly userId: UserId;
    readonly client: string;
    readonly userAgent?: string;
    readonly ttlSeconds: number;
  },
): Promise<UserSessionsRow> {
  const [row] = await connection.query<UserSessionsRow>(
    `INSERT INTO user_sessions (user_id, client, user_agent, expires_at)
     VALUES ($1, $2, $3, now() + make_interval(secs => $4)) RETURNING *`,
    [session.userId, session.client, session.userAgent ?? null, session.ttlSeconds],
  );
  if (row === undefined) throw new Error('The session is not there after it was added');
  return row;
}

/** Ends a session; undefined when there is none with that id. Ending it twice keeps the first time. */
export async function revokeSession(connection: Queryable, id: SessionId): Promise<UserSessionsRow | undefined> {
  const [row] = await connection.query<UserSessionsRow>(
    'UPDATE user_sessions SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING *',
    [id],
  );
  return row;
}

/** Remembers that a session was used, at most once a minute. */
export async function touchSession(connection: Queryable, id: SessionId): Promise<void> {
  await connection.query(
    "UPDATE user_sessions SET last_seen_at = now() WHERE id = $1 AND last_seen_at < now() - interval '1 minute'",
    [id],
  );
}

/** Ended sessions whose tokens would still be accepted by their time, `graceSeconds` of clock skew included. */
export async function revokedSessions(
  connection: Queryable,
  graceSeconds: number,
): Promise<{ readonly id: SessionId; readonly expiresAt: Date }[]> {
  const rows = await connection.query<Pick<UserSessionsRow, 'id' | 'expires_at'>>(
    `SELECT id, expires_at FROM user_sessions
     WHERE revoked_at IS NOT NULL AND expires_at > now() - make_interval(secs => $1)`,
    [graceSeconds],
  );
  return rows.map((row) => ({ id: row.id as SessionId, expiresAt: row.expires_at }));
}

/** Single tokens that are refused though their session goes on, while their time would still let them in. */
export async function revokedTokens(
  connection: Queryable,
  graceSeconds: number,
): Promise<{ readonly jti: string; readonly expiresAt: Date }[]> {
  const rows = await connection.query<{ jti: string; expires_at: Date }>(
    'SELECT jti, expires_at FROM revoked_tokens WHERE expires_at > now() - make_interval(secs => $1)',
    [graceSeconds],
  );
  return rows.map((row) => ({ jti: row.jti, expiresAt: row.expires_at }));
}

/**
 * Refuses one token from now on, whoever verifies it. Do it again as often as you like.
 * @param expiresAt of the token: after it nothing is remembered
 */
export async function revokeToken(connection: Queryable, jti: string, expiresAt: Date): Promise<void> {
  await connection.query('DELETE FROM revoked_tokens WHERE expires_at < now() - make_interval(hours => 1)');
  await connection.query('INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING', [
    jti,
    expiresAt,
  ]);
}

/** Users from whom something was taken within `seconds`, each with the count that a token must have since. */
export async function changedAccess(
  connection: Queryable,
  seconds: number,
): Promise<{ readonly id: UserId; readonly version: number }[]> {
  const rows = await connection.query<{ id: string; access_version: number }>(
    `SELECT id, access_version FROM users
     WHERE access_version > 1 AND access_changed_at > now() - make_interval(secs => $1)`,
    [seconds],
  );
  return rows.map((row) => ({ id: row.id as UserId, version: row.access_version }));
}
