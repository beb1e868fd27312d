// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `signing_keys`. */
export interface SigningKeysRow {
  readonly kid: string;
  readonly alg: string;
  readonly status: 'next' | 'active' | 'retired';
  readonly public_jwk: unknown;
  readonly private_jwe: string | null;
  readonly created_at: Date;
  readonly activated_at: Date | null;
  readonly retired_at: Date | null;
  readonly resource: string | null;
}

/** A row of `user_sessions`. */
export interface UserSessionsRow {
  readonly id: string;
  readonly user_id: string;
  readonly client: string;
  readonly user_agent: string | null;
  readonly created_at: Date;
  readonly last_seen_at: Date;
  readonly expires_at: Date;
  readonly revoked_at: Date | null;
  readonly kind: 'local' | 'browser' | 'oauth' | 'token' | 'service';
}
