import { describe, expect, it } from 'vitest';
import { limitChanges, presetChanges, resetChanges } from '../../../../src/entry/cli/rate-limit-changes.ts';
import { endpointNames, presetNames, presets, tierNames } from '../../../../src/lib/app/config/rate-limit-presets.ts';
import { rateLimitsSection } from '../../../../src/lib/infra/config/profile-rate-limits.ts';
import { UsageError } from '../../../../src/lib/shared/errors.ts';

const defaults = rateLimitsSection.parse({});

describe('rate limit presets', () => {
  it('know every group of endpoints and every kind of caller that the profile knows', () => {
    const groups = Object.keys(rateLimitsSection.parse({})).flatMap(
      (field) => /^(.+)_per_second$/.exec(field)?.[1] ?? [],
    );
    expect([...endpointNames].sort()).toEqual(groups.sort());
    expect([...tierNames].sort()).toEqual(Object.keys(defaults.tier_multipliers).sort());
  });

  it.each(presetNames)('%s is a valid section', (name) => {
    expect(rateLimitsSection.parse(presets[name].limits)).toEqual({ ...presets[name].limits, client_multiplier: 20 });
  });

  it('production is what holds without any of it', async () => {
    const { client_multiplier: _, ...decided } = defaults;
    expect(presets.production.limits).toEqual(decided);
    expect((await presetChanges('production')).every((change) => 'unset' in change)).toBe(true);
  });
});

describe('changes of rate limits', () => {
  it('are what the flags say', () => {
    expect(limitChanges({ endpoint: 'mcp', rate: '5', tier: 'anon', multiplier: '0.1', disable: true })).toEqual([
      { path: ['rate_limits', 'mcp_per_second'], text: '5' },
      { path: ['rate_limits', 'tier_multipliers', 'anon'], text: '0.1' },
      { path: ['rate_limits', 'enabled'], value: false },
    ]);
    expect(() => limitChanges({})).toThrow(UsageError);
    expect(resetChanges({})).toEqual([{ path: ['rate_limits'], unset: true }]);
    expect(resetChanges({ tier: 'anon' })).toEqual([
      { path: ['rate_limits', 'tier_multipliers', 'anon'], unset: true },
    ]);
  });
});
