import type { ConfigChange } from '../../lib/app/config/change.ts';
import { endpointNames, type PresetName, presets, tierNames } from '../../lib/app/config/rate-limit-presets.ts';
import type { ConfigPath } from '../../lib/app/config/types.ts';
import { UsageError } from '../../lib/shared/errors.ts';

const section = 'rate_limits';

interface SetFlags {
  readonly endpoint?: string | undefined;
  readonly rate?: string | undefined;
  readonly tier?: string | undefined;
  readonly multiplier?: string | undefined;
  readonly burst?: string | undefined;
  readonly enable?: boolean | undefined;
  readonly disable?: boolean | undefined;
}

/** What `rate-limits set` is to change. @throws UsageError when it is nothing */
export function limitChanges({ endpoint, rate, tier, multiplier, burst, enable, disable }: SetFlags): ConfigChange[] {
  const changes: ConfigChange[] = [];
  if (endpoint !== undefined && rate !== undefined) changes.push({ path: ratePath(endpoint), text: rate });
  if (tier !== undefined && multiplier !== undefined) changes.push({ path: tierPath(tier), text: multiplier });
  if (burst !== undefined) changes.push({ path: [section, 'burst_multiplier'], text: burst });
  if (enable === true || disable === true) changes.push({ path: [section, 'enabled'], value: enable === true });
  if (changes.length > 0) return changes;
  throw new UsageError('There is nothing to set', {
    hint: 'Give --endpoint with --rate, --tier with --multiplier, --burst, --enable or --disable',
  });
}

/** What `rate-limits reset` is to take out of the profile: all, or what is named. */
export function resetChanges({ endpoint, tier }: Pick<SetFlags, 'endpoint' | 'tier'>): ConfigChange[] {
  const paths = [
    ...(endpoint === undefined ? [] : [ratePath(endpoint)]),
    ...(tier === undefined ? [] : [tierPath(tier)]),
  ];
  return (paths.length === 0 ? [[section]] : paths).map((path) => ({ path, unset: true }));
}

/** What makes a preset hold: what is a default anyway is not written. */
export async function presetChanges(name: PresetName): Promise<ConfigChange[]> {
  const { rateLimitsSection } = await import('../../lib/infra/config/profile-rate-limits.ts');
  const defaults = rateLimitsSection.parse({});
  const { limits } = presets[name];
  const change = (path: ConfigPath, value: number, fallback: number): ConfigChange =>
    value === fallback ? { path, unset: true } : { path, value };
  return [
    ...endpointNames.map((endpoint) => {
      const field = `${endpoint}_per_second` as const;
      return change(ratePath(endpoint), limits[field], defaults[field]);
    }),
    change([section, 'burst_multiplier'], limits.burst_multiplier, defaults.burst_multiplier),
    ...tierNames.map((tier) => change(tierPath(tier), limits.tier_multipliers[tier], defaults.tier_multipliers[tier])),
  ];
}

function ratePath(endpoint: string): ConfigPath {
  return [section, `${endpoint}_per_second`];
}

function tierPath(tier: string): ConfigPath {
  return [section, 'tier_multipliers', tier];
}
