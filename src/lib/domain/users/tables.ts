// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `users`. */
export interface UsersRow {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  readonly display_name: string;
  readonly status: 'active' | 'suspended' | 'deleted';
  readonly roles: string[];
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly kind: 'person' | 'service';
  readonly access_version: number;
  readonly access_changed_at: Date;
  readonly email_verified_at: Date | null;
  readonly status_reason: string | null;
  readonly status_changed_at: Date | null;
}
