// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.
import type { Generated } from 'kysely';

/** Table `users`. */
export interface UsersTable {
  id: Generated<string>;
  name: string;
  email: string | null;
  display_name: string;
  status: Generated<string>;
  roles: string[];
  created_at: Generated<Date>;
  updated_at: Generated<Date>;
}

/** For `database.db.withTables<UsersTables>()`. */
export type UsersTables = {
  users: UsersTable;
};
