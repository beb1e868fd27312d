import type { CommandContext } from '../../lib/app/command-context.ts';
import type { EffectiveConfiguration } from '../../lib/app/config/effective.ts';
import type { ConfigNode, ConfigPath } from '../../lib/app/config/types.ts';
import type { Validation } from '../../lib/app/config/validation.ts';
import { NotFoundError, UsageError } from '../../lib/shared/errors.ts';

/** The configuration that the command's profile stands for. @throws ConfigInvalidError with the findings of all files */
export async function effectiveOf(context: CommandContext): Promise<EffectiveConfiguration> {
  const { loadEffective } = await import('../../lib/app/config/effective.ts');
  const [instance, active] = [await context.instance(), await context.activeProfile()];
  return await loadEffective(instance, active.name, context.options.env);
}

/** A path as it is given on the command line: `server.port`, `agents.helper.skills[0]`. @throws UsageError for what is none */
export async function configPath(text: string): Promise<ConfigPath> {
  const { parseDottedPath } = await import('../../lib/infra/config/yaml-path.ts');
  const path = parseDottedPath(text);
  if (path !== undefined) return path;
  throw new UsageError('That is no path of the configuration', {
    hint: 'Write names with dots between them, and the number of a list entry in brackets: server.cors_allowed_origins[0]',
  });
}

/** The value at a path. @throws NotFoundError naming the nearest paths */
export async function nodeAt(configuration: EffectiveConfiguration, path: ConfigPath): Promise<ConfigNode> {
  const { effectiveNode } = await import('../../lib/app/config/effective.ts');
  const node = effectiveNode(configuration, path);
  if (node !== undefined) return node;
  const { nearest } = await import('../../lib/shared/nearest.ts');
  const { dottedPath } = await import('../../lib/infra/config/yaml-path.ts');
  // What is there of the way, and the names that it goes on with.
  let depth = path.length - 1;
  while (depth > 0 && effectiveNode(configuration, path.slice(0, depth)) === undefined) depth -= 1;
  const base = path.slice(0, depth);
  const around = effectiveNode(configuration, base);
  const names = typeof around === 'object' && around !== null ? Object.keys(around) : [];
  const meant = nearest(String(path[depth]), names, 3).map((name) => dottedPath([...base, name]));
  const known = names.slice(0, 30).join(', ');
  throw new NotFoundError(`${dottedPath(path)} is not set, and has no default`, {
    hint:
      meant.length > 0
        ? `Did you mean ${meant.join(' or ')}?`
        : known === ''
          ? 'Nothing is below that path'
          : `There is: ${known}`,
    next: ['admin config show'],
  });
}

/** Everything that is wrong with the configuration that the command's profile stands for. */
export async function validationOf(context: CommandContext): Promise<Validation> {
  const { validateConfiguration } = await import('../../lib/app/config/validation.ts');
  const [instance, active] = [await context.instance(), await context.activeProfile()];
  const names = new Set(await (await context.secrets()).names());
  return await validateConfiguration(instance, active.name, context.options.env, names);
}
