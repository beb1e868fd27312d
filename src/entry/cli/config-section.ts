import type { CommandContext } from '../../lib/app/command-context.ts';
import type { ConfigChange } from '../../lib/app/config/change.ts';
import type { ConfigPath } from '../../lib/app/config/types.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import { UsageError } from '../../lib/shared/errors.ts';
import { effectiveOf } from './configuration.ts';

// What the commands for single sections of the profile have in common.

/** A section with the origin of every value. */
export async function sectionText(context: CommandContext, section: string): Promise<Artifact> {
  const { originText } = await import('./views/configuration.ts');
  return originText(await effectiveOf(context), [section]);
}

/**
 * The changes that flags ask for; a flag's value is read as its field asks for.
 * @param fields the path of each flag's field
 * @throws UsageError when none of them is given
 */
export function changesOf(
  flags: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, ConfigPath>>,
): ConfigChange[] {
  const changes = Object.entries(fields).flatMap(([flag, path]): ConfigChange[] => {
    const value = flags[flag];
    if (value === undefined) return [];
    return [typeof value === 'string' ? { path, text: value } : { path, value }];
  });
  if (changes.length > 0) return changes;
  const names = Object.keys(fields).map((flag) => `--${flag}`);
  throw new UsageError('There is nothing to set', { hint: `Give one of ${names.join(', ')}` });
}

/** The sites that may call the API from a browser. */
export async function corsOrigins(context: CommandContext): Promise<readonly string[]> {
  return (await context.profile()).server.cors_allowed_origins;
}
