// Names written out, so that command lines are parsed without loading schemas; a test compares them with the schema.

export const tierNames = ['anon', 'user', 'service', 'a2a', 'mcp', 'admin'] as const;
export const endpointNames = ['oauth_public', 'oauth_auth', 'mcp_registry', 'mcp', 'stream'] as const;
export const presetNames = ['development', 'production', 'high-traffic'] as const;

export type TierName = (typeof tierNames)[number];
export type EndpointName = (typeof endpointNames)[number];
export type PresetName = (typeof presetNames)[number];

/** What a preset decides; whether requests are counted at all is another matter. */
export type RateLimitPreset = Readonly<Record<`${EndpointName}_per_second` | 'burst_multiplier', number>> & {
  readonly tier_multipliers: Readonly<Record<TierName, number>>;
};

export const presets: Readonly<Record<PresetName, { readonly summary: string; readonly limits: RateLimitPreset }>> = {
  development: {
    summary: 'One caller with many tools at once, on a machine of its own',
    limits: {
      oauth_public_per_second: 50,
      oauth_auth_per_second: 20,
      mcp_registry_per_second: 50,
      mcp_per_second: 100,
      stream_per_second: 50,
      burst_multiplier: 5,
      tier_multipliers: { admin: 10, user: 2, service: 5, a2a: 3, mcp: 3, anon: 0.5 },
    },
  },
  production: {
    summary: 'The defaults',
    limits: {
      oauth_public_per_second: 10,
      oauth_auth_per_second: 10,
      mcp_registry_per_second: 50,
      mcp_per_second: 200,
      stream_per_second: 100,
      burst_multiplier: 3,
      tier_multipliers: { admin: 10, user: 1, service: 5, a2a: 5, mcp: 5, anon: 0.5 },
    },
  },
  'high-traffic': {
    summary: 'Many callers, each held short',
    limits: {
      oauth_public_per_second: 5,
      oauth_auth_per_second: 2,
      mcp_registry_per_second: 5,
      mcp_per_second: 10,
      stream_per_second: 5,
      burst_multiplier: 2,
      tier_multipliers: { admin: 5, user: 1, service: 2, a2a: 1.5, mcp: 1.5, anon: 0.2 },
    },
  },
};
