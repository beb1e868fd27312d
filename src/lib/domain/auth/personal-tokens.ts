import type { Queryable } from '../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import type { PersonalAccessTokensRow } from './tables.ts';

/** What the sessions and the tokens of personal access tokens name as their client. */
const personalTokenClient = 'personal-access-token';

/** A personal access token as it is listed: what it is, never what it is shown with. */
export interface PersonalToken {
  readonly id: string;
  readonly userId: UserId;
  readonly sessionId: SessionId;
  readonly name: string;
  /** The one resource that takes it. */
  readonly audience: string;
  /** What it was made for; what it may do now can be less. */
  readonly scopes: readonly string[];
  readonly state: 'active' | 'expired' | 'revoked';
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt?: Date;
}

interface TokenRow extends PersonalAccessTokensRow {
  readonly state: PersonalToken['state'];
}

// A token ends with its session, whoever ended that.
const columns = `t.id, t.user_id, t.session_id, t.name, t.audience, t.scopes, t.created_at, t.expires_at, t.last_used_at,
  CASE WHEN t.revoked_at IS NOT NULL OR s.revoked_at IS NOT NULL THEN 'revoked'
       WHEN t.expires_at <= now() THEN 'expired' ELSE 'active' END AS state`;
const from = 'FROM personal_access_tokens t JOIN user_sessions s ON s.id = t.session_id';

/** Adds a token and the session that it ends with. Give it a transaction. @param hash SHA-256 of what its owner carries */
export async function insertPersonalToken(
  tx: Queryable,
  token: {
    readonly userId: UserId;
    readonly name: string;
    readonly hash: Uint8Array;
    readonly audience: string;
    readonly scopes: readonly string[];
    readonly ttlSeconds: number;
  },
): Promise<PersonalToken> {
  const [row] = await tx.query<{ id: string }>(
    `WITH session AS (
       INSERT INTO user_sessions (user_id, client, kind, expires_at)
       VALUES ($1, $2, 'token', now() + make_interval(secs => $3)) RETURNING id, user_id, expires_at)
     INSERT INTO personal_access_tokens (user_id, session_id, name, hash, audience, scopes, expires_at)
     SELECT user_id, id, $4, $5, $6, $7, expires_at FROM session RETURNING id`,
    [token.userId, personalTokenClient, token.ttlSeconds, token.name, token.hash, token.audience, token.scopes],
  );
  const added = row && (await findPersonalToken(tx, row.id));
  if (added === undefined) throw new Error('The token is not there after it was added');
  return added;
}

export async function findPersonalToken(connection: Queryable, id: string): Promise<PersonalToken | undefined> {
  const [row] = await connection.query<TokenRow>(`SELECT ${columns} ${from} WHERE t.id = $1`, [id]);
  return row && toToken(row);
}

/** The token that is known by a hash, while it is good; that it was used is remembered to the minute. */
export async function goodPersonalToken(connection: Queryable, hash: Uint8Array): Promise<PersonalToken | undefined> {
  const [row] = await connection.query<TokenRow>(
    `SELECT ${columns} ${from} WHERE t.hash = $1 AND t.revoked_at IS NULL AND s.revoked_at IS NULL
       AND t.expires_at > now()`,
    [hash],
    { name: 'personal_token' },
  );
  if (row === undefined) return undefined;
  await connection.query(
    `UPDATE personal_access_tokens SET last_used_at = now()
     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
    [row.id],
  );
  return toToken(row);
}

/** Tokens of a user, the newest first; those that are good unless told. */
export async function listPersonalTokens(
  connection: Queryable,
  userId: UserId | undefined,
  options: { readonly all: boolean; readonly limit: number },
): Promise<PersonalToken[]> {
  const rows = await connection.query<TokenRow>(
    `SELECT ${columns} ${from} WHERE ($1::uuid IS NULL OR t.user_id = $1)
       AND ($2 OR (t.revoked_at IS NULL AND s.revoked_at IS NULL AND t.expires_at > now()))
     ORDER BY t.created_at DESC, t.id LIMIT $3`,
    [userId ?? null, options.all, options.limit],
  );
  return rows.map(toToken);
}

/** Ends a token and its session. @returns whether it was good until then */
export async function revokePersonalToken(tx: Queryable, { id, sessionId }: PersonalToken): Promise<boolean> {
  const revoked = await tx.query(
    'UPDATE personal_access_tokens SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id',
    [id],
  );
  await tx.query('UPDATE user_sessions SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL', [sessionId]);
  return revoked.length > 0;
}

function toToken(row: TokenRow): PersonalToken {
  return {
    id: row.id,
    userId: row.user_id as UserId,
    sessionId: row.session_id as SessionId,
    name: row.name,
    audience: row.audience,
    scopes: row.scopes,
    state: row.state,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
  };
}
