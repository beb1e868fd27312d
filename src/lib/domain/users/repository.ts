import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';
import { isPermission, type Permission } from '../../shared/permission.ts';
import type { UsersRow } from './tables.ts';

export type UserStatus = UsersRow['status'];

export interface User {
  readonly id: UserId;
  /** Unique, lower case: what the audit and the CLI show. */
  readonly name: string;
  readonly email?: string;
  readonly displayName: string;
  readonly status: UserStatus;
  readonly roles: readonly Permission[];
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface NewUser {
  readonly name: string;
  readonly displayName: string;
  readonly roles: readonly Permission[];
}

/** Adds a user unless that name is taken; gives whoever has the name then. Safe when two processes do it at once. */
export async function ensureUser(connection: Queryable, user: NewUser): Promise<User> {
  await connection.query(
    'INSERT INTO users (name, display_name, roles) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING',
    [user.name, user.displayName, user.roles],
  );
  const found = await findUserByName(connection, user.name);
  if (found === undefined) throw new Error(`The user ${user.name} is not there after it was added`);
  return found;
}

export async function findUser(connection: Queryable, id: UserId): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>('SELECT * FROM users WHERE id = $1', [id]);
  return row && toUser(row);
}

async function findUserByName(connection: Queryable, name: string): Promise<User | undefined> {
  const [row] = await connection.query<UsersRow>('SELECT * FROM users WHERE name = $1', [name]);
  return row && toUser(row);
}

function toUser(row: UsersRow): User {
  return {
    id: row.id as UserId,
    name: row.name,
    ...(row.email === null ? {} : { email: row.email }),
    displayName: row.display_name,
    status: row.status,
    roles: row.roles.filter(isPermission),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
