// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `users`. */
export interface UsersRow {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly display_name: string;
  readonly status: 'active' | 'suspended';
  readonly roles: string[];
  readonly created_at: Date;
  readonly updated_at: Date;
}
