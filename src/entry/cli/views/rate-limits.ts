import {
  endpointNames,
  type PresetName,
  presetNames,
  presets,
  type RateLimitPreset,
  type TierName,
  tierNames,
} from '../../../lib/app/config/rate-limit-presets.ts';
import type { ListArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';

export { endpointNames, presetNames, tierNames };

type Limits = RateLimitPreset & { readonly enabled: boolean };

/** Requests per second, for each group of endpoints and each kind of caller. */
export function limitsTable(limits: Limits): TableArtifact {
  return {
    type: 'table',
    title: title(limits),
    columns: [
      { name: 'endpoint', column_type: 'string' },
      ...tierNames.map((tier) => ({ name: tier, column_type: 'number' as const })),
    ],
    items: endpointNames.map((endpoint) => ({
      endpoint,
      ...Object.fromEntries(tierNames.map((tier) => [tier, rateOf(limits, endpoint, tier)])),
    })),
    count: endpointNames.length,
    notes: [`Who was quiet may send ${limits.burst_multiplier} seconds' worth of requests at once`],
  };
}

/** What one kind of caller may ask. */
export function tierTable(limits: Limits, tier: TierName): TableArtifact {
  return {
    type: 'table',
    title: `${title(limits)}; ${tier}: × ${limits.tier_multipliers[tier]}`,
    columns: [
      { name: 'endpoint', column_type: 'string' },
      { name: 'per_second', column_type: 'number' },
      { name: 'at_once', column_type: 'number' },
    ],
    items: endpointNames.map((endpoint) => {
      const rate = rateOf(limits, endpoint, tier);
      return { endpoint, per_second: rate, at_once: rounded(rate * limits.burst_multiplier) };
    }),
    count: endpointNames.length,
  };
}

/** The presets; the one that holds now is marked. */
export function presetsList(limits: Limits): ListArtifact {
  return {
    type: 'list',
    items: presetNames.map((name) => {
      const active = rowsOf(presets[name].limits, limits).every(({ preset, now }) => preset === now);
      const summary = `${presets[name].summary}${active ? ' (holds now)' : ''}`;
      return { title: name, summary, id: name, data: { active } };
    }),
    count: presetNames.length,
  };
}

/** A preset, value by value, beside what holds now. */
export function presetTable(limits: Limits, name: PresetName): TableArtifact {
  const rows = rowsOf(presets[name].limits, limits);
  return {
    type: 'table',
    title: `${name}: ${presets[name].summary}`,
    columns: [
      { name: 'field', column_type: 'string' },
      { name: 'preset', column_type: 'number' },
      { name: 'now', column_type: 'number' },
    ],
    items: rows,
    count: rows.length,
  };
}

function rowsOf(preset: RateLimitPreset, now: RateLimitPreset): { field: string; preset: number; now: number }[] {
  const rates = endpointNames.map((endpoint) => `${endpoint}_per_second` as const);
  return [
    ...[...rates, 'burst_multiplier' as const].map((field) => ({ field, preset: preset[field], now: now[field] })),
    ...tierNames.map((tier) => ({
      field: `tier_multipliers.${tier}`,
      preset: preset.tier_multipliers[tier],
      now: now.tier_multipliers[tier],
    })),
  ];
}

function rateOf(limits: RateLimitPreset, endpoint: (typeof endpointNames)[number], tier: TierName): number {
  return rounded(limits[`${endpoint}_per_second`] * limits.tier_multipliers[tier]);
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function title({ enabled }: Limits): string {
  return enabled ? 'Requests per second of one caller' : 'Rate limits are off; when they are on, requests per second';
}
