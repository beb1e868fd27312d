import type { Queryable } from '../../../infra/database/connection.ts';
import type { UserId } from '../../../shared/ids.ts';

/** The person who may sign in and has that mail address, in its normal form. */
export async function findPersonByMail(
  connection: Queryable,
  mail: string,
): Promise<{ readonly id: UserId; readonly displayName: string } | undefined> {
  const [row] = await connection.query<{ id: string; display_name: string }>(
    "SELECT id, display_name FROM users WHERE email = $1 AND status = 'active' AND kind = 'person'",
    [mail],
  );
  return row && { id: row.id as UserId, displayName: row.display_name };
}

/** Remembers that whoever the user is reads that mail address; false when it is not the user's any more. */
export async function confirmMail(connection: Queryable, userId: UserId, mail: string): Promise<boolean> {
  const rows = await connection.query(
    `UPDATE users SET email_verified_at = coalesce(email_verified_at, now()) WHERE id = $1 AND email = $2 RETURNING id`,
    [userId, mail],
  );
  return rows.length > 0;
}

/** Whether anybody has ever signed in as this user, or left something to sign in with. */
export async function hasSignedIn(connection: Queryable, userId: UserId): Promise<boolean> {
  const [row] = await connection.query<{ used: boolean }>(
    `SELECT EXISTS (SELECT FROM passkeys WHERE user_id = $1)
         OR EXISTS (SELECT FROM federated_identities WHERE user_id = $1)
         OR EXISTS (SELECT FROM user_sessions WHERE user_id = $1) AS used`,
    [userId],
  );
  return row?.used === true;
}

/** Adds a person whose mail address was verified elsewhere; undefined when name or address is taken. */
export async function insertPerson(
  connection: Queryable,
  person: { readonly name: string; readonly mail: string; readonly displayName: string },
): Promise<UserId | undefined> {
  const [row] = await connection.query<{ id: string }>(
    `INSERT INTO users (name, email, email_verified_at, display_name, roles)
     VALUES ($1, $2, now(), $3, '{user}') ON CONFLICT DO NOTHING RETURNING id`,
    [person.name, person.mail, person.displayName],
  );
  return row && (row.id as UserId);
}
