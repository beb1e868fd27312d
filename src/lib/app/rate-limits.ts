import type { RateLimitSettings } from '../infra/config/profile-rate-limits.ts';
import { RateLimitedError } from '../shared/errors.ts';
import { isPermission, type Permission, permissionLevels } from '../shared/permission.ts';
import { type AddressOf, addressReader, networkOf } from './caller-address.ts';
import { type Allowances, OwnAllowances, type Quota, quotaOf, type Taken } from './rate-limit/quota.ts';

/** The groups of addresses that are counted apart: `<group>_per_second` in the profile. */
export type RateGroup = 'oauth_public' | 'oauth_auth' | 'mcp_registry' | 'mcp' | 'stream';

/** Who asks: somebody with a valid token, by a client; else an address. */
export type Caller =
  | { readonly user: string; readonly client: string; readonly scopes: readonly string[] }
  | { readonly request: Parameters<AddressOf>[0] };

/** What counting a request came to. */
export interface Counted {
  /** Set when the request is one too many. */
  readonly error?: RateLimitedError;
  /** What its answer carries, whichever it is. */
  readonly headers: Readonly<Record<string, string>>;
}

type Tier = keyof RateLimitSettings['tier_multipliers'];

interface GroupQuota extends Quota {
  readonly group: RateGroup;
  readonly policy: string;
}

export const rateGroups: readonly RateGroup[] = ['oauth_public', 'oauth_auth', 'mcp_registry', 'mcp', 'stream'];

/**
 * Counts requests by group and caller: a token bucket for each, kept as one number, the time at which it would be full
 * again (the generic cell rate algorithm, ITU-T I.371).
 */
export class RateLimiter {
  readonly #quotas: Readonly<Record<string, GroupQuota>>;
  readonly #allowances: Allowances;
  readonly #addressOf: AddressOf;
  readonly #onRefused: ((group: RateGroup) => void) | undefined;

  /**
   * @param settings `rate_limits` of the profile
   * @param server whose word on addresses is taken
   * @param allowances where the counts are kept; in the memory of this process unless told
   * @param onRefused hears of each request that is one too many
   */
  constructor(
    settings: RateLimitSettings,
    server: { readonly trusted_proxies: readonly string[] },
    allowances: Allowances = new OwnAllowances(() => performance.now()),
    onRefused?: (group: RateGroup) => void,
  ) {
    this.#onRefused = onRefused;
    this.#addressOf = addressReader(server.trusted_proxies);
    this.#allowances = allowances;
    const kinds = [...Object.entries(settings.tier_multipliers), ['client', settings.client_multiplier] as const];
    this.#quotas = Object.fromEntries(
      rateGroups.flatMap((group) =>
        kinds.map(([kind, factor]) => {
          const name = `${group} ${kind}`;
          const quota = quotaOf(name, settings[`${group}_per_second`] * factor, settings.burst_multiplier);
          const window = Math.max(1, Math.ceil(quota.capacity / quota.perSecond));
          return [name, { ...quota, group, policy: `"${group}";q=${quota.capacity};w=${window}` }] as const;
        }),
      ),
    );
  }

  /**
   * Counts one request: for the user and the client, or for the address. One that is refused costs nothing where it is
   * refused, so that who waits gets in. The answer comes at once where the counts are at hand.
   */
  count(group: RateGroup, caller: Caller): Counted | Promise<Counted> {
    if (!('user' in caller)) return this.#take(`${group} anon`, networkOf(this.#addressOf(caller.request)));
    // The user first: whom it refuses costs the client nothing, so that one user can't use up what others share.
    const user = this.#take(`${group} ${tierOf(caller.scopes)}`, caller.user);
    const client = (counted: Counted): Counted | Promise<Counted> => {
      if (counted.error !== undefined) return counted;
      const all = this.#take(`${group} client`, caller.client);
      const worse = (second: Counted) => (second.error === undefined ? counted : second);
      return all instanceof Promise ? all.then(worse) : worse(all);
    };
    return user instanceof Promise ? user.then(client) : client(user);
  }

  #take(name: string, key: string): Counted | Promise<Counted> {
    const quota = this.#quotas[name];
    if (quota === undefined) return { headers: {} };
    const taken = this.#allowances.take(quota, key);
    if (taken instanceof Promise) return taken.then((result) => this.#counted(quota, result));
    return this.#counted(quota, taken);
  }

  #counted(quota: GroupQuota, { refused, owingMs }: Taken): Counted {
    const { group, costMs, depthMs, perSecond } = quota;
    const left = Math.max(0, Math.floor((depthMs - owingMs) / costMs));
    // draft-ietf-httpapi-ratelimit-headers-10, section 4: what is left, and in how many seconds all of it is back.
    const headers = {
      'ratelimit-policy': quota.policy,
      ratelimit: `"${group}";r=${left};t=${Math.ceil(owingMs / 1000)}`,
    };
    if (!refused) return { headers };
    this.#onRefused?.(group);
    const wait = Math.max(1, Math.ceil((owingMs + costMs - depthMs) / 1000));
    return {
      error: new RateLimitedError('Too many requests.', {
        hint: `Wait ${wait} s, then at most ${Number(perSecond.toFixed(2))} a second.`,
        data: { group, per_second: perSecond, retry_after_seconds: wait },
      }),
      headers: { ...headers, 'retry-after': String(wait) },
    };
  }
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
