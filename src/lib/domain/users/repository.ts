import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';
import { isPermission, type Permission } from '../../shared/permission.ts';
import type { UsersRow } from './tables.ts';

export type UserStatus = UsersRow['status'];
export type UserKind = UsersRow['kind'];

export interface User {
  readonly id: UserId;
  /** Unique, lower case: what the audit and the CLI show. */
  readonly name: string;
  readonly email?: string;
  /** When the user last proved to read mail at that address. */
  readonly emailVerifiedAt?: Date;
  readonly displayName: string;
  /** A person, or a program with an account of its own. */
  readonly kind: UserKind;
  readonly status: UserStatus;
  /** Why the user is not active, as it was said. */
  readonly statusReason?: string;
  readonly statusChangedAt?: Date;
  readonly roles: readonly Permission[];
  /** Counts what was taken away. */
  readonly accessVersion: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface NewUser {
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly Permission[];
  readonly email?: string | undefined;
  readonly kind?: UserKind | undefined;
}

/** What is changed of a user; what is left out stays. `null` removes the address. */
export interface UserChange {
  readonly name?: string | undefined;
  readonly displayName?: string | undefined;
  readonly email?: string | null | undefined;
}

export interface UserFilter {
  readonly role?: Permission | undefined;
  readonly status?: UserStatus | undefined;
  readonly kind?: UserKind | undefined;
  /** Part of the name, the shown name or the address. */
  readonly search?: string | undefined;
  /** Name of the last user of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Adds a user unless that name is taken; gives whoever has the name then. Safe when two processes do it at once. */
export async function ensureUser(connection: Queryable, user: NewUser): Promise<User> {
  const added = await insertUser(connection, user, 'ON CONFLICT (name) DO NOTHING');
  const found = added ?? (await findUserByName(connection, user.name));
  if (found === undefined) throw new Error(`The user ${user.name} is not there after it was added`);
  return found;
}

/** Adds a user. @throws PostgreSQL's unique violation when name or address are taken */
export async function insertUser(
  connection: Queryable,
  user: NewUser,
  conflict: '' | 'ON CONFLICT (name) DO NOTHING' = '',
): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>(
    `INSERT INTO users (name, display_name, roles, email, kind) VALUES ($1, $2, $3, $4, $5) ${conflict} RETURNING *`,
    [user.name, user.displayName, user.roles, user.email ?? null, user.kind ?? 'person'],
  );
  return row && toUser(row);
}

/** @param lock keeps others from changing it until the transaction ends */
export async function findUser(
  connection: Queryable,
  id: UserId,
  lock: '' | 'FOR UPDATE' = '',
): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>(`SELECT * FROM users WHERE id = $1 ${lock}`, [id]);
  return row && toUser(row);
}

export async function findUserByName(connection: Queryable, name: string): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>('SELECT * FROM users WHERE name = $1', [name]);
  return row && toUser(row);
}

/** @param email normalised */
export async function findUserByEmail(connection: Queryable, email: string): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>('SELECT * FROM users WHERE email = $1', [email]);
  return row && toUser(row);
}

/** Users by name, and how many there are in all. */
export async function listUsers(
  connection: Queryable,
  filter: UserFilter,
): Promise<{ readonly users: User[]; readonly count: number }> {
  const { role, status, kind, search, after, limit } = filter;
  const pattern = search === undefined ? null : `%${search.replace(/[\\%_]/g, '\\$&')}%`;
  const wanted = `($1::text IS NULL OR $1 = ANY (roles)) AND ($2::text IS NULL OR status = $2)
    AND ($3::text IS NULL OR kind = $3)
    AND ($4::text IS NULL OR name LIKE lower($4) OR email LIKE lower($4) OR display_name ILIKE $4)
    AND ($2::text IS NOT NULL OR status <> 'deleted')`;
  const params = [role ?? null, status ?? null, kind ?? null, pattern];
  const rows = await connection.query<UsersRow & { total: number }>(
    `SELECT *, (SELECT count(*)::int FROM users WHERE ${wanted}) AS total FROM users
     WHERE ${wanted} AND ($5::text IS NULL OR name > $5) ORDER BY name LIMIT $6`,
    [...params, after ?? null, limit],
  );
  return { users: rows.map(toUser), count: rows[0]?.total ?? 0 };
}

/** @throws PostgreSQL's unique violation when name or address are taken */
export async function updateUser(connection: Queryable, id: UserId, change: UserChange): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>(
    `UPDATE users SET name = coalesce($2, name), display_name = coalesce($3, display_name),
       email = CASE WHEN $4 THEN $5 ELSE email END
     WHERE id = $1 AND status <> 'deleted' RETURNING *`,
    [id, change.name ?? null, change.displayName ?? null, change.email !== undefined, change.email ?? null],
  );
  return row && toUser(row);
}

/** @throws PostgreSQL's violation of `users_keep_an_admin` when nobody else could administer then */
export async function setRoles(
  connection: Queryable,
  id: UserId,
  roles: readonly Permission[],
): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>(
    "UPDATE users SET roles = $2 WHERE id = $1 AND status <> 'deleted' RETURNING *",
    [id, roles],
  );
  return row && toUser(row);
}

/** @throws as `setRoles` */
export async function setStatus(
  connection: Queryable,
  id: UserId,
  status: 'active' | 'suspended',
  reason: string | undefined,
): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>(
    "UPDATE users SET status = $2, status_reason = $3 WHERE id = $1 AND status <> 'deleted' RETURNING *",
    [id, status, reason ?? null],
  );
  return row && toUser(row);
}

/** Takes everything personal out of a user's row for good; the id stays, since the audit names it. @throws as `setRoles` */
export async function eraseUser(connection: Queryable, id: UserId, name: string): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>(
    `UPDATE users SET status = 'deleted', status_reason = NULL, name = $2, display_name = 'Deleted user', email = NULL,
       email_verified_at = NULL, roles = '{}' WHERE id = $1 RETURNING *`,
    [id, name],
  );
  return row && toUser(row);
}

function toUser(row: UsersRow): User {
  return {
    id: row.id as UserId,
    name: row.name,
    ...(row.email === null ? {} : { email: row.email }),
    ...(row.email_verified_at === null ? {} : { emailVerifiedAt: row.email_verified_at }),
    displayName: row.display_name,
    kind: row.kind,
    status: row.status,
    ...(row.status_reason === null ? {} : { statusReason: row.status_reason }),
    ...(row.status_changed_at === null ? {} : { statusChangedAt: row.status_changed_at }),
    roles: row.roles.filter(isPermission),
    accessVersion: row.access_version,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
