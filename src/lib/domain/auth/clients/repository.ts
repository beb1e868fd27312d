import type { Queryable } from '../../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../../shared/ids.ts';
import type { OauthClientSecretsRow, OauthClientsRow } from '../tables.ts';
import { type ClientKind, type ClientMetadata, type ClientStatus, type KnownClient, toClient } from './client.ts';

export interface NewClient {
  readonly id: string;
  readonly kind: ClientKind;
  readonly name: string;
  readonly metadata: ClientMetadata;
  readonly userId?: UserId | undefined;
  readonly sessionId?: SessionId | undefined;
  readonly server?: string | undefined;
  readonly targets?: readonly string[] | undefined;
  readonly registeredFrom?: string | undefined;
}

/** Adds a client; undefined when the id is taken. */
export async function insertClient(connection: Queryable, client: NewClient): Promise<OauthClientsRow | undefined> {
  const [row] = await connection.query<OauthClientsRow>(
    `INSERT INTO oauth_clients (id, kind, name, metadata, user_id, session_id, server, targets, registered_from)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING RETURNING *`,
    [
      client.id,
      client.kind,
      client.name,
      JSON.stringify(client.metadata),
      client.userId ?? null,
      client.sessionId ?? null,
      client.server ?? null,
      client.targets ?? [],
      client.registeredFrom ?? null,
    ],
  );
  return row;
}

/** A client with the secrets that are live, whatever its status. */
export async function findKnownClient(connection: Queryable, id: string): Promise<KnownClient | undefined> {
  const [row] = await connection.query<OauthClientsRow & { secrets: { hash: string; expires_at: string | null }[] }>(
    `SELECT c.*, coalesce((
       SELECT json_agg(json_build_object('hash', encode(s.hash, 'base64'), 'expires_at', s.expires_at))
       FROM oauth_client_secrets s
       WHERE s.client_id = c.id AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
     ), '[]') AS secrets
     FROM oauth_clients c WHERE c.id = $1`,
    [id],
    { name: 'known_client' },
  );
  if (row === undefined) return undefined;
  const secrets = row.secrets.map(({ hash, expires_at }) => ({
    hash: Buffer.from(hash, 'base64'),
    ...(expires_at === null ? {} : { expiresAt: new Date(expires_at) }),
  }));
  return { ...toClient(row), secrets };
}

export async function lockClient(tx: Queryable, id: string): Promise<OauthClientsRow | undefined> {
  const [row] = await tx.query<OauthClientsRow>('SELECT * FROM oauth_clients WHERE id = $1 FOR UPDATE', [id]);
  return row;
}

/** All clients, the newest first; dynamic ones only when asked for. */
export function listClients(
  connection: Queryable,
  { dynamic, limit }: { readonly dynamic: boolean; readonly limit: number },
): Promise<OauthClientsRow[]> {
  return connection.query<OauthClientsRow>(
    `SELECT * FROM oauth_clients WHERE $1 OR kind <> 'dynamic' ORDER BY created_at DESC, id LIMIT $2`,
    [dynamic, limit],
  );
}

/** Clients that registered themselves: from one network within the last hour, and in all. */
export async function countRegistrations(
  connection: Queryable,
  address: string,
): Promise<{ readonly lastHour: number; readonly all: number }> {
  const [row] = await connection.query<{ last_hour: number; total: number }>(
    `SELECT count(*) FILTER (WHERE registered_from = $1 AND created_at > now() - interval '1 hour')::int AS last_hour,
       count(*)::int AS total
     FROM oauth_clients WHERE kind = 'dynamic'`,
    [address],
  );
  return { lastHour: row?.last_hour ?? 0, all: row?.total ?? 0 };
}

export async function updateClient(
  tx: Queryable,
  id: string,
  change: {
    readonly name: string;
    readonly metadata: ClientMetadata;
    readonly server: string | null;
    readonly targets: readonly string[];
    readonly status: ClientStatus;
  },
): Promise<OauthClientsRow | undefined> {
  const [row] = await tx.query<OauthClientsRow>(
    `UPDATE oauth_clients SET name = $2, metadata = $3, server = $4, targets = $5, status = $6
     WHERE id = $1 RETURNING *`,
    [id, change.name, JSON.stringify(change.metadata), change.server, change.targets, change.status],
  );
  return row;
}

export async function setClientSession(tx: Queryable, id: string, session: SessionId): Promise<void> {
  await tx.query('UPDATE oauth_clients SET session_id = $2 WHERE id = $1', [id, session]);
}

/** Whether a session has been neither ended nor outlived. */
export async function liveSessionOf(connection: Queryable, id: string): Promise<boolean> {
  const rows = await connection.query(
    'SELECT FROM user_sessions WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()',
    [id],
  );
  return rows.length > 0;
}

/** @returns whether it was there */
export async function deleteClient(connection: Queryable, id: string): Promise<boolean> {
  const rows = await connection.query('DELETE FROM oauth_clients WHERE id = $1 RETURNING id', [id]);
  return rows.length > 0;
}

/** Remembers that a client was used, at most once a minute. */
export async function touchClient(connection: Queryable, id: string): Promise<void> {
  await connection.query(
    `UPDATE oauth_clients SET last_used_at = now()
     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
    [id],
  );
}

/**
 * Removes clients that registered themselves and are of no use: never used for `unusedSeconds`, or idle for
 * `idleSeconds`. One that somebody is still signed in with stays, since its browser would never hear that it is gone.
 */
export async function deleteUnusedClients(
  connection: Queryable,
  { unusedSeconds, idleSeconds }: { readonly unusedSeconds: number; readonly idleSeconds: number },
): Promise<string[]> {
  const rows = await connection.query<{ id: string }>(
    `DELETE FROM oauth_clients c
     WHERE kind = 'dynamic'
       AND coalesce(last_used_at, created_at) <
         now() - make_interval(secs => CASE WHEN last_used_at IS NULL THEN $1::int ELSE $2::int END)
       AND NOT EXISTS (
         SELECT FROM user_sessions s WHERE s.client = c.id AND s.revoked_at IS NULL AND s.expires_at > now())
     RETURNING id`,
    [unusedSeconds, idleSeconds],
  );
  return rows.map(({ id }) => id);
}

export async function insertSecret(tx: Queryable, client: string, hash: Buffer): Promise<OauthClientSecretsRow> {
  const [row] = await tx.query<OauthClientSecretsRow>(
    'INSERT INTO oauth_client_secrets (client_id, hash) VALUES ($1, $2) RETURNING *',
    [client, hash],
  );
  if (row === undefined) throw new Error('The secret is not there after it was added');
  return row;
}

/** Ends all secrets of a client but the newest `keep`. @returns how many */
export async function revokeSecrets(tx: Queryable, client: string, keep: number): Promise<number> {
  const rows = await tx.query(
    `UPDATE oauth_client_secrets SET revoked_at = now()
     WHERE revoked_at IS NULL AND client_id = $1 AND id NOT IN (
       SELECT id FROM oauth_client_secrets WHERE client_id = $1 AND revoked_at IS NULL
       ORDER BY created_at DESC, id LIMIT $2)
     RETURNING id`,
    [client, keep],
  );
  return rows.length;
}

/** Secrets of a client that are live, the newest first; their hashes stay where they are. */
export function liveSecrets(
  connection: Queryable,
  client: string,
): Promise<Omit<OauthClientSecretsRow, 'hash' | 'revoked_at'>[]> {
  return connection.query(
    `SELECT id, client_id, created_at, expires_at FROM oauth_client_secrets
     WHERE client_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
     ORDER BY created_at DESC, id`,
    [client],
  );
}
