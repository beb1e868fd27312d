import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';

/** What a user brought for a server, as it is kept. */
export interface SealedCredential {
  readonly userId: UserId;
  readonly server: string;
  readonly name: string;
  /** A compact JWE. */
  readonly sealed: string;
}

/** That a user brought something, and when. */
export interface KeptCredential {
  readonly server: string;
  readonly name: string;
  readonly updatedAt: Date;
}

/** What a user brought for a server. */
export function credentialsOf(connection: Queryable, userId: UserId, server: string): Promise<SealedCredential[]> {
  return connection.query<SealedCredential>(
    `SELECT user_id AS "userId", server, name, sealed FROM mcp.user_credentials WHERE user_id = $1 AND server = $2`,
    [userId, server],
    { name: 'mcp-credentials-read' },
  );
}

/** What a user brought for all servers, without the values. */
export function keptCredentials(connection: Queryable, userId: UserId): Promise<KeptCredential[]> {
  return connection.query<KeptCredential>(
    `SELECT server, name, updated_at AS "updatedAt" FROM mcp.user_credentials WHERE user_id = $1 ORDER BY server, name`,
    [userId],
  );
}

/** Puts it in the place of what was there under that name. */
export async function writeCredential(
  connection: Queryable,
  { userId, server, name, sealed }: SealedCredential,
): Promise<void> {
  await connection.query(
    `INSERT INTO mcp.user_credentials (user_id, server, name, sealed) VALUES ($1, $2, $3, $4)
     ON CONFLICT (user_id, server, name) DO UPDATE SET sealed = EXCLUDED.sealed, updated_at = now()`,
    [userId, server, name, sealed],
  );
}

/** @returns the names of what is gone */
export async function deleteCredentials(connection: Queryable, userId: UserId, server: string): Promise<string[]> {
  const rows = await connection.query<{ name: string }>(
    'DELETE FROM mcp.user_credentials WHERE user_id = $1 AND server = $2 RETURNING name',
    [userId, server],
  );
  return rows.map(({ name }) => name).sort();
}

/** Everybody's, held against changes until the end of the transaction. */
export function lockAllCredentials(tx: Queryable): Promise<SealedCredential[]> {
  return tx.query<SealedCredential>(
    `SELECT user_id AS "userId", server, name, sealed FROM mcp.user_credentials ORDER BY user_id, server, name FOR UPDATE`,
  );
}
