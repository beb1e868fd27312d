import { z } from 'zod';

const perSecond = (requests: number, what: string) =>
  z.number().min(0.01).max(1_000_000).default(requests).describe(`${what}: requests per second of one caller.`);

const multiplier = (factor: number, who: string) =>
  z.number().min(0.01).max(1000).default(factor).describe(`By so much more, or less, for ${who}.`);

/** Section `rate_limits` of the profile. */
export const rateLimitsSection = z
  .strictObject({
    enabled: z
      .boolean()
      .optional()
      .describe(
        'Whether requests are counted. Default: yes where `runtime.environment` is `staging` or `production`, no elsewhere.',
      ),
    oauth_public_per_second: perSecond(
      10,
      'Well-known documents, signing keys, the description of the API, and addresses where nothing is',
    ),
    oauth_auth_per_second: perSecond(
      10,
      'Sign-in and its pages, authorization, tokens, registration of clients, and all else of the authorization server',
    ),
    mcp_registry_per_second: perSecond(50, 'The list of MCP servers'),
    mcp_per_second: perSecond(200, 'Requests to MCP servers, tool calls and all others'),
    stream_per_second: perSecond(100, 'Streams of events that are opened'),
    burst_multiplier: z
      .number()
      .min(1)
      .max(1000)
      .default(3)
      .describe('How many seconds’ worth of requests a caller who was quiet may send at once.'),
    client_multiplier: multiplier(
      20,
      'one client (`client_id`), all of its users together; each of the users is counted as well',
    ),
    tier_multipliers: z
      .strictObject({
        admin: multiplier(10, 'callers with the scope `admin`'),
        user: multiplier(1, 'those with `user`'),
        service: multiplier(5, 'those with `service`'),
        a2a: multiplier(5, 'those with `a2a`'),
        mcp: multiplier(5, 'those with `mcp`'),
        anon: multiplier(0.5, 'callers without a valid token, told apart by their address'),
      })
      .prefault({})
      .describe('The highest scope of a caller decides.'),
  })
  .prefault({})
  .describe(
    'How much one caller may ask: a user, a client, or an address without a valid token. With several API processes (`server.workers`) they count together, in the database.',
  );

export type RateLimitSettings = z.output<typeof rateLimitsSection>;
