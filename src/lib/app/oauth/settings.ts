/** How long things live, and other choices of the profile. Times are in seconds. */
export interface OAuthSettings {
  readonly issuer: string;
  readonly codeTtl: number;
  readonly deviceCodeTtl: number;
  /** How long a refresh token may lie unused. */
  readonly refreshIdle: number;
  /** How long a sign-in lasts at most, however often it is refreshed. */
  readonly refreshAbsolute: number;
  /** How long the same refresh gets the same answer again; 0: a second use is misuse at once. */
  readonly reuseWindow: number;
  /** The longest life of an access token. */
  readonly maxTokenTtl: number;
}

/** The choices of a profile's section `security`. */
export function oauthSettings(security: {
  readonly issuer: string;
  readonly access_token_ttl_seconds: number;
  readonly authorization_code_ttl_seconds: number;
  readonly device_code_ttl_seconds: number;
  readonly refresh_idle_seconds: number;
  readonly refresh_absolute_seconds: number;
  readonly refresh_reuse_window_seconds: number;
}): OAuthSettings {
  return {
    issuer: security.issuer,
    codeTtl: security.authorization_code_ttl_seconds,
    deviceCodeTtl: security.device_code_ttl_seconds,
    refreshIdle: security.refresh_idle_seconds,
    refreshAbsolute: security.refresh_absolute_seconds,
    reuseWindow: security.refresh_reuse_window_seconds,
    maxTokenTtl: security.access_token_ttl_seconds,
  };
}
