import type { Queryable } from '../../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../../shared/ids.ts';
import type { OauthPayloadsRow } from '../tables.ts';

/** What the authorization server keeps of one thing (a code, a token, a grant, …). */
export interface StoredPayload {
  readonly sealed: Buffer;
  readonly consumedAt: Date | undefined;
}

/** The name under which a payload is kept. */
export interface PayloadKey {
  readonly model: string;
  /** SHA-256 of its id. */
  readonly idHash: Buffer;
}

export interface NewPayload extends PayloadKey {
  readonly sealed: Buffer;
  readonly grantHash: Buffer | undefined;
  readonly uidHash: Buffer | undefined;
  readonly userCodeHash: Buffer | undefined;
  readonly userId: string | undefined;
  readonly client: string | undefined;
  readonly ttlSeconds: number;
}

/** A grant with the session that it is, and whose. */
export interface StoredGrant extends StoredPayload {
  readonly sessionId: SessionId;
  readonly user: {
    readonly id: UserId;
    readonly name: string;
    readonly displayName: string;
    readonly email: string | undefined;
  };
}

/** Keeps a payload, or what became of it; that it was used is never taken back. */
export async function upsertPayload(connection: Queryable, payload: NewPayload): Promise<void> {
  await connection.query(
    `INSERT INTO oauth_payloads (model, id_hash, grant_hash, uid_hash, user_code_hash, user_id, client, sealed, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
     ON CONFLICT (model, id_hash) DO UPDATE SET grant_hash = EXCLUDED.grant_hash, uid_hash = EXCLUDED.uid_hash,
       user_code_hash = coalesce(EXCLUDED.user_code_hash, oauth_payloads.user_code_hash), user_id = EXCLUDED.user_id,
       client = EXCLUDED.client, sealed = EXCLUDED.sealed, expires_at = EXCLUDED.expires_at`,
    valuesOf(payload),
    { name: 'oauth_payload_upsert' },
  );
}

/** Keeps what may come once. @returns false when it is there already */
export async function insertPayload(connection: Queryable, payload: NewPayload): Promise<boolean> {
  const rows = await connection.query(
    `INSERT INTO oauth_payloads (model, id_hash, grant_hash, uid_hash, user_code_hash, user_id, client, sealed, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
     ON CONFLICT (model, id_hash) DO NOTHING RETURNING 1`,
    valuesOf(payload),
    { name: 'oauth_payload_insert' },
  );
  return rows.length > 0;
}

/** Keeps a refresh token, and remembers of its session that it was used, to the minute. */
export async function insertRefreshToken(connection: Queryable, payload: NewPayload): Promise<void> {
  await connection.query(
    `WITH seen AS (
       UPDATE user_sessions SET last_seen_at = now()
       WHERE grant_hash = $3 AND last_seen_at < now() - interval '1 minute')
     INSERT INTO oauth_payloads (model, id_hash, grant_hash, uid_hash, user_code_hash, user_id, client, sealed, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))`,
    valuesOf(payload),
    { name: 'oauth_refresh_token_insert' },
  );
}

/** Keeps a grant, and begins its session with it. @param sessionTtlSeconds until the last token of it has expired */
export async function upsertGrant(
  connection: Queryable,
  grant: NewPayload & { readonly userId: string; readonly client: string },
  sessionTtlSeconds: number,
): Promise<void> {
  await connection.query(
    `WITH begun AS (
       INSERT INTO user_sessions (user_id, client, kind, grant_hash, expires_at)
       VALUES ($6, $7, 'oauth', $2, now() + make_interval(secs => $10))
       ON CONFLICT (grant_hash) DO UPDATE SET expires_at = EXCLUDED.expires_at WHERE user_sessions.revoked_at IS NULL)
     INSERT INTO oauth_payloads (model, id_hash, grant_hash, uid_hash, user_code_hash, user_id, client, sealed, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now() + make_interval(secs => $9))
     ON CONFLICT (model, id_hash) DO UPDATE SET sealed = EXCLUDED.sealed, expires_at = EXCLUDED.expires_at`,
    [...valuesOf(grant), sessionTtlSeconds],
    { name: 'oauth_grant_upsert' },
  );
}

export async function findPayload(connection: Queryable, key: PayloadKey): Promise<StoredPayload | undefined> {
  const [row] = await connection.query<Pick<OauthPayloadsRow, 'sealed' | 'consumed_at'>>(
    'SELECT sealed, consumed_at FROM oauth_payloads WHERE model = $1 AND id_hash = $2',
    [key.model, key.idHash],
    { name: 'oauth_payload_find' },
  );
  return row && { sealed: row.sealed, consumedAt: row.consumed_at ?? undefined };
}

/** By its second name; with its first, which the seal is bound to. */
export async function findPayloadBy(
  connection: Queryable,
  model: string,
  by: 'uid' | 'user_code',
  hash: Buffer,
): Promise<(StoredPayload & { readonly idHash: Buffer }) | undefined> {
  const [row] = await connection.query<Pick<OauthPayloadsRow, 'sealed' | 'consumed_at' | 'id_hash'>>(
    `SELECT id_hash, sealed, consumed_at FROM oauth_payloads WHERE model = $1 AND ${by}_hash = $2`,
    [model, hash],
    { name: `oauth_payload_by_${by}` },
  );
  return row && { idHash: row.id_hash, sealed: row.sealed, consumedAt: row.consumed_at ?? undefined };
}

/**
 * A grant whose session goes on and whose user may act. With `lock`, in a transaction, nobody can end the session before
 * that is over, and what is issued meanwhile ends with it.
 */
export async function findGrant(
  connection: Queryable,
  idHash: Buffer,
  { lock = false }: { readonly lock?: boolean } = {},
): Promise<StoredGrant | undefined> {
  const [row] = await connection.query<{
    sealed: Buffer;
    consumed_at: Date | null;
    session_id: string;
    user_id: string;
    name: string;
    display_name: string;
    email: string | null;
  }>(
    `SELECT p.sealed, p.consumed_at, s.id AS session_id, u.id AS user_id, u.name, u.display_name, u.email
     FROM user_sessions s JOIN oauth_payloads p ON p.model = 'Grant' AND p.id_hash = s.grant_hash
       JOIN users u ON u.id = s.user_id
     WHERE s.grant_hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND u.status = 'active'
     ${lock ? 'FOR NO KEY UPDATE OF s' : ''}`,
    [idHash],
    { name: lock ? 'oauth_grant_lock' : 'oauth_grant_find' },
  );
  if (row === undefined) return undefined;
  return {
    sealed: row.sealed,
    consumedAt: row.consumed_at ?? undefined,
    sessionId: row.session_id as SessionId,
    user: {
      id: row.user_id as UserId,
      name: row.name,
      displayName: row.display_name,
      email: row.email ?? undefined,
    },
  };
}

/** The grants of a user to a client that go on, the newest first, `limit` of them at most. */
export async function grantsOf(
  connection: Queryable,
  user: string,
  client: string,
  limit: number,
): Promise<(StoredPayload & { readonly idHash: Buffer })[]> {
  const rows = await connection.query<Pick<OauthPayloadsRow, 'sealed' | 'id_hash'>>(
    `SELECT p.id_hash, p.sealed FROM oauth_payloads p JOIN user_sessions s ON s.grant_hash = p.id_hash
     WHERE p.model = 'Grant' AND p.user_id = $1 AND p.client = $2 AND p.expires_at > now() AND s.revoked_at IS NULL
     ORDER BY p.created_at DESC LIMIT $3`,
    [user, client, limit],
    { name: 'oauth_grants_of' },
  );
  return rows.map((row) => ({ idHash: row.id_hash, sealed: row.sealed, consumedAt: undefined }));
}

/** The grants of a user that go on, to whichever client, each with its session. */
export async function connectedGrants(
  connection: Queryable,
  user: UserId,
): Promise<(StoredPayload & { readonly idHash: Buffer; readonly sessionId: SessionId })[]> {
  const rows = await connection.query<{ session_id: string; id_hash: Buffer; sealed: Buffer }>(
    `SELECT s.id AS session_id, p.id_hash, p.sealed
     FROM user_sessions s JOIN oauth_payloads p ON p.model = 'Grant' AND p.id_hash = s.grant_hash
     WHERE s.user_id = $1 AND s.revoked_at IS NULL AND s.expires_at > now() AND p.expires_at > now()`,
    [user],
  );
  return rows.map((row) => ({
    sessionId: row.session_id as SessionId,
    idHash: row.id_hash,
    sealed: row.sealed,
    consumedAt: undefined,
  }));
}

/** Marks what works once as used. @returns false when somebody was faster, or it is gone */
export async function consumePayload(connection: Queryable, key: PayloadKey): Promise<boolean> {
  const rows = await connection.query(
    `UPDATE oauth_payloads SET consumed_at = now()
     WHERE model = $1 AND id_hash = $2 AND consumed_at IS NULL RETURNING 1`,
    [key.model, key.idHash],
    { name: 'oauth_payload_consume' },
  );
  return rows.length > 0;
}

export async function deletePayload(connection: Queryable, key: PayloadKey): Promise<void> {
  await connection.query('DELETE FROM oauth_payloads WHERE model = $1 AND id_hash = $2', [key.model, key.idHash]);
}

/**
 * Ends the session of a grant; the database removes what came of it. A grant without a session leaves nothing either.
 * @returns the session that was ended by this; undefined when none went on
 */
export async function endGrant(
  connection: Queryable,
  grantHash: Buffer,
): Promise<{ readonly sessionId: SessionId; readonly userId: UserId; readonly client: string } | undefined> {
  const [row] = await connection.query<{ id: string; user_id: string; client: string }>(
    `WITH orphans AS (DELETE FROM oauth_payloads p WHERE p.grant_hash = $1
       AND NOT EXISTS (SELECT FROM user_sessions s WHERE s.grant_hash = $1 AND s.revoked_at IS NULL))
     UPDATE user_sessions SET revoked_at = now() WHERE grant_hash = $1 AND revoked_at IS NULL
     RETURNING id, user_id, client`,
    [grantHash],
  );
  return row && { sessionId: row.id as SessionId, userId: row.user_id as UserId, client: row.client };
}

/** Removes what has expired, `limit` rows of each kind at most; what another process removes just now is left to it. */
export async function sweepPayloads(connection: Queryable, limit: number): Promise<number> {
  let removed = 0;
  for (const table of ['oauth_payloads', 'refresh_windows'] as const) {
    const rows = await connection.query(
      `DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM ${table} WHERE expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
       RETURNING 1`,
      [limit],
    );
    removed += rows.length;
  }
  return removed;
}

function valuesOf(payload: NewPayload): unknown[] {
  const { model, idHash, grantHash, uidHash, userCodeHash, userId, client, sealed, ttlSeconds } = payload;
  const hashes = [grantHash ?? null, uidHash ?? null, userCodeHash ?? null];
  return [model, idHash, ...hashes, userId ?? null, client ?? null, sealed, ttlSeconds];
}
