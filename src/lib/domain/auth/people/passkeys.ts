import type { Queryable } from '../../../infra/database/connection.ts';
import type { UserId } from '../../../shared/ids.ts';

/** A passkey as its user sees it. */
export interface Passkey {
  readonly id: string;
  readonly userId: UserId;
  readonly name: string;
  /** Kept by a password manager that may carry it to other devices. */
  readonly synced: boolean;
  /** The name of the instance that it was made for. */
  readonly rpId: string;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date;
}

/** A passkey as it is checked. */
export interface KnownPasskey extends Passkey {
  readonly credentialId: Buffer;
  readonly publicKey: Buffer;
  readonly transports: readonly string[];
}

export interface NewPasskey {
  readonly userId: UserId;
  readonly credentialId: Buffer;
  readonly publicKey: Buffer;
  readonly counter: number;
  readonly transports: readonly string[];
  readonly deviceType: 'singleDevice' | 'multiDevice';
  readonly backedUp: boolean;
  readonly aaguid: string;
  readonly rpId: string;
  readonly name: string;
}

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly credential_id: Buffer;
  readonly public_key: Buffer;
  readonly transports: string[];
  readonly device_type: 'singleDevice' | 'multiDevice';
  readonly name: string;
  readonly rp_id: string;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
}

/** Adds a passkey; undefined when the credential is known already, whoever's it is. */
export async function insertPasskey(connection: Queryable, passkey: NewPasskey): Promise<Passkey | undefined> {
  const [row] = await connection.query<Row>(
    `INSERT INTO passkeys
       (user_id, credential_id, public_key, counter, transports, device_type, backed_up, aaguid, rp_id, name)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (credential_id) DO NOTHING RETURNING *`,
    [
      passkey.userId,
      passkey.credentialId,
      passkey.publicKey,
      passkey.counter,
      passkey.transports,
      passkey.deviceType,
      passkey.backedUp,
      passkey.aaguid,
      passkey.rpId,
      passkey.name,
    ],
  );
  return row && toPasskey(row);
}

/** Of one user, oldest first. */
export async function passkeysOf(connection: Queryable, userId: UserId): Promise<KnownPasskey[]> {
  const rows = await connection.query<Row>('SELECT * FROM passkeys WHERE user_id = $1 ORDER BY created_at, id', [
    userId,
  ]);
  return rows.map(toKnown);
}

export async function findPasskey(connection: Queryable, credentialId: Buffer): Promise<KnownPasskey | undefined> {
  const [row] = await connection.query<Row>('SELECT * FROM passkeys WHERE credential_id = $1', [credentialId]);
  return row && toKnown(row);
}

/** Remembers a use; false when its counter did not go up, though this authenticator counts: somebody has a copy. */
export async function usePasskey(
  connection: Queryable,
  id: string,
  use: { readonly counter: number; readonly backedUp: boolean },
): Promise<boolean> {
  const rows = await connection.query(
    `UPDATE passkeys SET counter = $2, backed_up = $3, last_used_at = now()
     WHERE id = $1 AND (counter < $2 OR (counter = 0 AND $2 = 0)) RETURNING id`,
    [id, use.counter, use.backedUp],
  );
  return rows.length > 0;
}

export async function renamePasskey(connection: Queryable, userId: UserId, id: string, name: string): Promise<boolean> {
  const rows = await connection.query('UPDATE passkeys SET name = $3 WHERE id = $2 AND user_id = $1 RETURNING id', [
    userId,
    id,
    name,
  ]);
  return rows.length > 0;
}

/** Removes a user's passkey and ends the browser sessions that were begun with it; undefined when there is none. */
export async function deletePasskey(
  connection: Queryable,
  userId: UserId,
  id: string,
): Promise<{ readonly name: string; readonly endedSessions: number } | undefined> {
  const ended = await connection.query(
    `UPDATE user_sessions SET revoked_at = now() WHERE revoked_at IS NULL AND id IN (
       SELECT session_id FROM browser_sessions WHERE passkey_id = $2 AND user_id = $1) RETURNING id`,
    [userId, id],
  );
  const [row] = await connection.query<{ name: string }>(
    'DELETE FROM passkeys WHERE id = $2 AND user_id = $1 RETURNING name',
    [userId, id],
  );
  return row && { name: row.name, endedSessions: ended.length };
}

function toPasskey(row: Row): Passkey {
  return {
    id: row.id,
    userId: row.user_id as UserId,
    name: row.name,
    synced: row.device_type === 'multiDevice',
    rpId: row.rp_id,
    createdAt: row.created_at,
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
  };
}

function toKnown(row: Row): KnownPasskey {
  return {
    ...toPasskey(row),
    credentialId: row.credential_id,
    publicKey: row.public_key,
    transports: row.transports,
  };
}
