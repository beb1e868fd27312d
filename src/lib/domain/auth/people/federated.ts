import type { Queryable } from '../../../infra/database/connection.ts';
import type { UserId } from '../../../shared/ids.ts';

/** Who a user is at another provider. */
export interface FederatedIdentity {
  readonly id: string;
  readonly userId: UserId;
  readonly issuer: string;
  /** The provider's id in the profile when it was linked. */
  readonly provider: string;
  /** What it was called there then. */
  readonly label?: string;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date;
}

interface Row {
  readonly id: string;
  readonly user_id: string;
  readonly issuer: string;
  readonly provider: string;
  readonly label: string | null;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
}

/** Whose identity that is, by what never changes; remembers that it was used. */
export async function useFederated(
  connection: Queryable,
  issuer: string,
  subject: string,
): Promise<FederatedIdentity | undefined> {
  const [row] = await connection.query<Row>(
    'UPDATE federated_identities SET last_used_at = now() WHERE issuer = $1 AND subject = $2 RETURNING *',
    [issuer, subject],
  );
  return row && toIdentity(row);
}

/** Links an identity with a user; undefined when it is linked already, with whomever. */
export async function insertFederated(
  connection: Queryable,
  identity: {
    readonly userId: UserId;
    readonly issuer: string;
    readonly subject: string;
    readonly provider: string;
    readonly label?: string | undefined;
  },
): Promise<FederatedIdentity | undefined> {
  const [row] = await connection.query<Row>(
    `INSERT INTO federated_identities (user_id, issuer, subject, provider, label, last_used_at)
     VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT (issuer, subject) DO NOTHING RETURNING *`,
    [identity.userId, identity.issuer, identity.subject, identity.provider, identity.label ?? null],
  );
  return row && toIdentity(row);
}

/** Of one user, oldest first. */
export async function federatedOf(connection: Queryable, userId: UserId): Promise<FederatedIdentity[]> {
  const rows = await connection.query<Row>(
    'SELECT * FROM federated_identities WHERE user_id = $1 ORDER BY created_at, id',
    [userId],
  );
  return rows.map(toIdentity);
}

/** Unlinks an identity and ends the browser sessions that were begun with it; undefined when the user has none such. */
export async function deleteFederated(
  connection: Queryable,
  userId: UserId,
  id: string,
): Promise<{ readonly provider: string } | undefined> {
  await connection.query(
    `UPDATE user_sessions SET revoked_at = now() WHERE revoked_at IS NULL AND id IN (
       SELECT session_id FROM browser_sessions WHERE federated_id = $2 AND user_id = $1)`,
    [userId, id],
  );
  const [row] = await connection.query<{ provider: string }>(
    'DELETE FROM federated_identities WHERE id = $2 AND user_id = $1 RETURNING provider',
    [userId, id],
  );
  return row;
}

function toIdentity(row: Row): FederatedIdentity {
  return {
    id: row.id,
    userId: row.user_id as UserId,
    issuer: row.issuer,
    provider: row.provider,
    ...(row.label === null ? {} : { label: row.label }),
    createdAt: row.created_at,
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
  };
}
