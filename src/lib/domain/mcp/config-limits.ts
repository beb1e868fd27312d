import { z } from 'zod';

/** `rate_limit` of a server or of a tool. */
export const rateLimitSchema = z
  .strictObject({
    requests: z.int().min(1).max(1_000_000).describe('How many calls are taken in that time.'),
    per_seconds: z.int().min(1).max(86_400).default(60).describe('The time that they are counted in, in seconds.'),
    per: z
      .enum(['user', 'client', 'server'])
      .default('user')
      .describe('Whose calls are counted together: those of a user, of a client, or all.'),
  })
  .describe('How many calls are taken. Beside it the limits of the profile hold.');

/** `circuit_breaker` of a server. */
export const breakerSchema = z
  .union(
    [
      z.literal(false),
      z.strictObject({
        failures: z.int().min(1).max(1000).default(5).describe('Failures in a row after which it opens.'),
        cooldown_ms: z
          .int()
          .min(100)
          .max(3_600_000)
          .default(10_000)
          .describe('How long nothing is sent to the server then, in milliseconds; one call tries it after that.'),
      }),
    ],
    { error: 'must be false, or a map with failures and cooldown_ms' },
  )
  .default({ failures: 5, cooldown_ms: 10_000 })
  .describe('When calls are answered with an error at once, since the server keeps failing. `false`: never.');

/** How many calls are taken. */
export interface McpRateLimit {
  readonly requests: number;
  readonly perSeconds: number;
  readonly per: 'user' | 'client' | 'server';
}

export interface McpBreaker {
  readonly failures: number;
  readonly cooldownMs: number;
}

export function toRateLimit(yaml: z.output<typeof rateLimitSchema>): McpRateLimit {
  return { requests: yaml.requests, perSeconds: yaml.per_seconds, per: yaml.per };
}

export function toBreaker(yaml: z.output<typeof breakerSchema>): McpBreaker | undefined {
  return yaml === false ? undefined : { failures: yaml.failures, cooldownMs: yaml.cooldown_ms };
}
