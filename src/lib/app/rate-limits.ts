import type { RateLimitSettings } from '../infra/config/profile-rate-limits.ts';
import { RateLimitedError } from '../shared/errors.ts';
import { isPermission, type Permission, permissionLevels } from '../shared/permission.ts';
import { type AddressOf, addressReader, networkOf } from './caller-address.ts';

/** The groups of addresses that are counted apart: `<group>_per_second` in the profile. */
export type RateGroup = 'oauth_public' | 'mcp_registry' | 'mcp' | 'stream';

/** Who asks: somebody with a valid token, else an address. */
export type Caller =
  | { readonly user: string; readonly scopes: readonly string[] }
  | { readonly request: Parameters<AddressOf>[0] };

/** What counting a request came to. */
export interface Counted {
  /** Set when the request is one too many. */
  readonly error?: RateLimitedError;
  /** What its answer carries, whichever it is. */
  readonly headers: Readonly<Record<string, string>>;
}

type Tier = keyof RateLimitSettings['tier_multipliers'];

interface Quota {
  /** By caller, when its allowance is whole again: by `now()`, in ms. */
  readonly whole: Map<string, number>;
  /** A request costs this long to win back, in ms. */
  readonly costMs: number;
  /** How much may be owed at once, in ms. */
  readonly depthMs: number;
  readonly perSecond: number;
  readonly policy: string;
}

export const rateGroups: readonly RateGroup[] = ['oauth_public', 'mcp_registry', 'mcp', 'stream'];
/** Of each quota; the callers that were longest away are forgotten first, and have their whole allowance then. */
const maxCallers = 50_000;

/**
 * Counts requests by group and caller: a token bucket for each, kept as one number, the time at which it would be full
 * again (the generic cell rate algorithm, ITU-T I.371). In the memory of this process: of several, each has its share.
 */
export class RateLimiter {
  readonly #quotas: Readonly<Record<string, Quota>>;
  readonly #now: () => number;
  readonly #addressOf: AddressOf;
  readonly #onRefused: ((group: RateGroup) => void) | undefined;

  /**
   * @param settings `rate_limits` of the profile
   * @param server how many processes share the rate, and whose word on addresses is taken
   * @param now milliseconds of a clock that never goes back
   * @param onRefused hears of each request that is one too many
   */
  constructor(
    settings: RateLimitSettings,
    server: { readonly workers: number; readonly trusted_proxies: readonly string[] },
    now: () => number = () => performance.now(),
    onRefused?: (group: RateGroup) => void,
  ) {
    this.#onRefused = onRefused;
    this.#addressOf = addressReader(server.trusted_proxies);
    this.#now = now;
    const tiers = Object.entries(settings.tier_multipliers);
    this.#quotas = Object.fromEntries(
      rateGroups.flatMap((group) =>
        tiers.map(([tier, factor]) => {
          const perSecond = (settings[`${group}_per_second`] * factor) / server.workers;
          return [`${group} ${tier}`, quotaOf(group, perSecond, settings.burst_multiplier)] as const;
        }),
      ),
    );
  }

  /** Counts one request. One that is refused costs nothing, so that who waits gets in. */
  count(group: RateGroup, caller: Caller): Counted {
    const known = 'user' in caller;
    const quota = this.#quotas[`${group} ${known ? tierOf(caller.scopes) : 'anon'}`];
    if (quota === undefined) return { headers: {} };
    const key = known ? caller.user : networkOf(this.#addressOf(caller.request));
    const now = this.#now();
    const { whole, costMs, depthMs } = quota;
    const owed = Math.max((whole.get(key) ?? 0) - now, 0);
    const refused = owed + costMs > depthMs;
    const owing = refused ? owed : owed + costMs;
    if (!refused) {
      // Back at its end: a Map keeps the order of insertion.
      whole.delete(key);
      whole.set(key, now + owing);
      if (whole.size > maxCallers) forgetOldest(whole);
    }
    const left = Math.floor((depthMs - owing) / costMs);
    // draft-ietf-httpapi-ratelimit-headers-10, section 4: what is left, and in how many seconds all of it is back.
    const headers = {
      'ratelimit-policy': quota.policy,
      ratelimit: `"${group}";r=${left};t=${Math.ceil(owing / 1000)}`,
    };
    if (!refused) return { headers };
    this.#onRefused?.(group);
    const wait = Math.max(1, Math.ceil((owed + costMs - depthMs) / 1000));
    return {
      error: new RateLimitedError('Too many requests.', {
        hint: `Wait ${wait} s, then at most ${Number(quota.perSecond.toFixed(2))} a second.`,
        data: { group, per_second: quota.perSecond, retry_after_seconds: wait },
      }),
      headers: { ...headers, 'retry-after': String(wait) },
    };
  }
}

function quotaOf(group: RateGroup, perSecond: number, burst: number): Quota {
  const capacity = Math.max(1, Math.floor(perSecond * burst));
  const costMs = 1000 / perSecond;
  const policy = `"${group}";q=${capacity};w=${Math.max(1, Math.ceil(capacity / perSecond))}`;
  // Rounding must not cost the last of them.
  return { whole: new Map(), costMs, depthMs: capacity * costMs + 1e-6, perSecond, policy };
}

function forgetOldest(whole: Map<string, number>): void {
  const [oldest] = whole.keys();
  if (oldest !== undefined) whole.delete(oldest);
}

/** The highest permission among the scopes; whoever holds a token without one is a user. */
function tierOf(scopes: readonly string[]): Tier {
  let highest: Permission | undefined;
  for (const scope of scopes) {
    if (!isPermission(scope)) continue;
    if (highest === undefined || permissionLevels[scope] > permissionLevels[highest]) highest = scope;
  }
  if (highest === undefined) return 'user';
  return highest === 'anonymous' ? 'anon' : highest;
}
