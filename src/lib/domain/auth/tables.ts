// Generated from the migrations by scripts/generate-tables.mjs: change a migration, not this file.

/** A row of `access_grants`. */
export interface AccessGrantsRow {
  readonly id: string;
  readonly subject_type: 'user' | 'role' | 'agent' | 'client';
  readonly subject: string;
  readonly server: string;
  readonly scope: string;
  readonly tool: string | null;
  readonly created_by: string;
  readonly created_at: Date;
  readonly revoked_by: string | null;
  readonly revoked_at: Date | null;
}

/** A row of `identity_events`. */
export interface IdentityEventsRow {
  readonly id: number;
  readonly at: Date;
  readonly type: string;
  readonly user_id: string | null;
  readonly actor_id: string | null;
  readonly client_id: string | null;
  readonly session_id: string | null;
  readonly resource: string | null;
  readonly address: string | null;
  readonly data: unknown;
  readonly position: number;
}

/** A row of `oauth_client_secrets`. */
export interface OauthClientSecretsRow {
  readonly id: string;
  readonly client_id: string;
  readonly hash: Buffer;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
}

/** A row of `oauth_clients`. */
export interface OauthClientsRow {
  readonly id: string;
  readonly kind: 'builtin' | 'registered' | 'dynamic' | 'service';
  readonly name: string;
  readonly metadata: unknown;
  readonly user_id: string | null;
  readonly session_id: string | null;
  readonly server: string | null;
  readonly targets: string[];
  readonly status: 'active' | 'disabled';
  readonly created_at: Date;
  readonly last_used_at: Date | null;
  readonly registered_from: string | null;
}

/** A row of `oauth_payloads`. */
export interface OauthPayloadsRow {
  readonly model: string;
  readonly id_hash: Buffer;
  readonly grant_hash: Buffer | null;
  readonly uid_hash: Buffer | null;
  readonly user_code_hash: Buffer | null;
  readonly user_id: string | null;
  readonly client: string | null;
  readonly sealed: Buffer;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly consumed_at: Date | null;
}

/** A row of `personal_access_tokens`. */
export interface PersonalAccessTokensRow {
  readonly id: string;
  readonly user_id: string;
  readonly session_id: string;
  readonly name: string;
  readonly hash: Buffer;
  readonly audience: string;
  readonly scopes: string[];
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly last_used_at: Date | null;
  readonly revoked_at: Date | null;
}

/** A row of `refresh_windows`. */
export interface RefreshWindowsRow {
  readonly token_hash: Buffer;
  readonly request_hash: Buffer;
  readonly grant_hash: Buffer;
  readonly sealed: Buffer;
  readonly expires_at: Date;
}

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
  readonly kind: 'local' | 'browser' | 'oauth' | 'token' | 'service' | 'proxy';
  readonly grant_hash: Buffer | null;
}
