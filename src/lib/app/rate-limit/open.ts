import type { Profile } from '../../infra/config/profile.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { ApiMetrics } from '../../infra/telemetry/api-metrics.ts';
import { RateLimiter } from '../rate-limits.ts';
import { type Allowances, OwnAllowances } from './quota.ts';
import { SharedAllowances } from './shared-allowances.ts';

export interface OpenRateLimiter {
  /** Absent when the profile wants callers not counted. */
  readonly limiter: RateLimiter | undefined;
  /** Where everything is counted, what single MCP servers allow too. */
  readonly allowances: Allowances;
  close(): void;
}

/**
 * The counting of requests as the profile wants it. A process that is alone counts in its memory; several count together, in
 * the database.
 */
export function openRateLimiter(
  profile: Pick<Profile, 'rate_limits' | 'server'>,
  database: Queryable,
  log: Logger,
  metrics: Pick<ApiMetrics, 'rateLimitRefusal'> | undefined,
): OpenRateLimiter {
  const { rate_limits: settings, server } = profile;
  const shared =
    server.workers === 1
      ? undefined
      : new SharedAllowances({
          database,
          // One more while a process hands over to its successor.
          processes: server.workers + 1,
          burst: settings.burst_multiplier,
          onFailure: (err) =>
            log.warn({ err }, 'Requests are counted by this process alone: the database was not to be asked'),
        });
  const allowances = shared ?? new OwnAllowances(() => performance.now());
  const onRefused = metrics && ((group: string) => metrics.rateLimitRefusal(group));
  const limiter = settings.enabled ? new RateLimiter(settings, server, allowances, onRefused) : undefined;
  return { limiter, allowances, close: () => shared?.close() };
}
