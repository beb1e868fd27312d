import type { Profile } from '../../infra/config/profile.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { ApiMetrics } from '../../infra/telemetry/api-metrics.ts';
import { RateLimiter } from '../rate-limits.ts';
import { SharedAllowances } from './shared-allowances.ts';

export interface OpenRateLimiter {
  readonly limiter: RateLimiter;
  close(): void;
}

/**
 * The counting of requests as the profile wants it; undefined when it wants none. A process that is alone counts in its
 * memory; several count together, in the database.
 */
export function openRateLimiter(
  profile: Pick<Profile, 'rate_limits' | 'server'>,
  database: Queryable,
  log: Logger,
  metrics: Pick<ApiMetrics, 'rateLimitRefusal'> | undefined,
): OpenRateLimiter | undefined {
  const { rate_limits: settings, server } = profile;
  if (!settings.enabled) return undefined;
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
  const limiter = new RateLimiter(settings, server, shared, metrics && ((group) => metrics.rateLimitRefusal(group)));
  return { limiter, close: () => shared?.close() };
}
