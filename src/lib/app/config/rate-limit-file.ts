import { stringify } from 'yaml';
import { z } from 'zod';
import { type RateLimitSettings, rateLimitsSection } from '../../infra/config/profile-rate-limits.ts';
import { parseYamlFile } from '../../infra/config/yaml.ts';
import { ConfigInvalidError } from '../../shared/errors.ts';
import type { ConfigChange } from './change.ts';
import { leaves } from './effective.ts';
import type { ConfigNode } from './types.ts';

const section = 'rate_limits';
const fileSchema = z.strictObject({ [section]: rateLimitsSection.unwrap() });

/** Rate limits as a file of their own, complete with defaults; whether requests are counted at all is another matter. */
export function limitsYaml({ enabled: _, ...limits }: RateLimitSettings): string {
  return stringify({ [section]: limits });
}

/**
 * What makes the limits of such a file hold in the profile: what it does not say is left as it is, what is a default anyway is
 * not written.
 * @param file absolute
 * @throws ConfigInvalidError with every finding of the file
 */
export async function changesOfFile(file: string): Promise<ConfigChange[]> {
  const parsed = await parseYamlFile(file, fileSchema);
  if ('issues' in parsed) throw new ConfigInvalidError(parsed.issues);
  const defaults = new Map(
    leaves(rateLimitsSection.parse({}) as ConfigNode).map(({ path, value }) => [path.join('.'), value]),
  );
  return leaves(parsed.value[section] as ConfigNode).flatMap(({ path: field, value }): ConfigChange[] => {
    const path = [section, ...field];
    if (!parsed.has(path)) return [];
    return [defaults.get(field.join('.')) === value ? { path, unset: true } : { path, value }];
  });
}
