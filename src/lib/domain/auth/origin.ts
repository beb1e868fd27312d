import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';

/** A passkey, by whose it is and the name that it was made for. */
export interface BoundPasskey {
  readonly id: string;
  readonly userId: UserId;
  readonly userName: string;
  readonly name: string;
  readonly rpId: string;
  readonly lastUsedAt?: Date;
}

/** Sign-ins of one kind that are in force. */
export interface LiveSessions {
  readonly kind: 'local' | 'browser' | 'oauth' | 'token' | 'service';
  readonly count: number;
  readonly users: number;
}

/** A client that is answered at an address. */
export interface AnsweredClient {
  readonly id: string;
  readonly name: string;
  readonly kind: string;
  readonly redirectUris: readonly string[];
}

/** What people and programs have that stands or falls with the address of the instance. */
export interface OriginUses {
  readonly passkeys: readonly BoundPasskey[];
  readonly sessions: readonly LiveSessions[];
  /** How many personal access tokens are bound to that origin and in force. */
  readonly personalTokens: number;
  /** Clients with a redirect URI at that origin. */
  readonly clients: readonly AnsweredClient[];
}

/** Of users who may sign in; the passkeys by user, the last used first. */
export async function originUses(connection: Queryable, origin: string): Promise<OriginUses> {
  const passkeys = await connection.query<{
    id: string;
    user_id: string;
    user_name: string;
    name: string;
    rp_id: string;
    last_used_at: Date | null;
  }>(
    `SELECT p.id, p.user_id, u.name AS user_name, p.name, p.rp_id, p.last_used_at
     FROM passkeys p JOIN users u ON u.id = p.user_id WHERE u.status = 'active'
     ORDER BY u.name, p.last_used_at DESC NULLS LAST, p.created_at`,
  );
  const sessions = await connection.query<LiveSessions>(
    `SELECT kind, count(*)::int AS count, count(DISTINCT user_id)::int AS users FROM user_sessions
     WHERE revoked_at IS NULL AND expires_at > now() GROUP BY kind ORDER BY kind`,
  );
  const [tokens] = await connection.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM personal_access_tokens
     WHERE revoked_at IS NULL AND expires_at > now() AND starts_with(audience, $1 || '/')`,
    [origin],
  );
  return {
    passkeys: passkeys.map((row) => ({
      id: row.id,
      userId: row.user_id as UserId,
      userName: row.user_name,
      name: row.name,
      rpId: row.rp_id,
      ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
    })),
    sessions,
    personalTokens: tokens?.count ?? 0,
    clients: await clientsAt(connection, origin),
  };
}

/** Clients with a redirect URI at an origin. */
async function clientsAt(connection: Queryable, origin: string): Promise<AnsweredClient[]> {
  const rows = await connection.query<{ id: string; name: string; kind: string; uris: string[] }>(
    `SELECT c.id, c.name, c.kind, array_agg(uri ORDER BY uri) AS uris
     FROM oauth_clients c, jsonb_array_elements_text(coalesce(c.metadata -> 'redirect_uris', '[]')) AS uri
     WHERE uri = $1 OR starts_with(uri, $1 || '/') GROUP BY c.id ORDER BY c.id`,
    [origin],
  );
  return rows.map(({ id, name, kind, uris }) => ({ id, name, kind, redirectUris: uris }));
}

/** Has the clients that come with the instance be answered at its new address. @returns their ids */
export async function moveBuiltinClients(tx: Queryable, from: string, to: string): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(
    `UPDATE oauth_clients c SET metadata = jsonb_set(metadata, '{redirect_uris}', (
       SELECT jsonb_agg(CASE WHEN uri = $1 OR starts_with(uri, $1 || '/') THEN $2 || substr(uri, length($1) + 1) ELSE uri END
                        ORDER BY place)
       FROM jsonb_array_elements_text(metadata -> 'redirect_uris') WITH ORDINALITY AS each (uri, place)))
     WHERE kind = 'builtin' AND EXISTS (
       SELECT FROM jsonb_array_elements_text(coalesce(metadata -> 'redirect_uris', '[]')) AS uri
       WHERE uri = $1 OR starts_with(uri, $1 || '/'))
     RETURNING c.id`,
    [from, to],
  );
  return rows.map(({ id }) => id);
}
