// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.
import type { ColumnType, Generated } from 'kysely';

/** Read as a value, written as its JSON text. */
type Json = ColumnType<unknown, string, string>;

/** Table `signing_keys`. */
export interface SigningKeysTable {
  kid: string;
  alg: string;
  status: string;
  public_jwk: Json;
  private_jwe: string | null;
  created_at: Generated<Date>;
  activated_at: Date | null;
  retired_at: Date | null;
}

/** Table `user_sessions`. */
export interface UserSessionsTable {
  id: Generated<string>;
  user_id: string;
  client: string;
  user_agent: string | null;
  created_at: Generated<Date>;
  last_seen_at: Generated<Date>;
  expires_at: Date;
  revoked_at: Date | null;
}

/** For `database.db.withTables<AuthTables>()`. */
export type AuthTables = {
  signing_keys: SigningKeysTable;
  user_sessions: UserSessionsTable;
};
