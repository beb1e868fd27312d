import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { activeProfile, type ProjectPlace, profileNameForm } from '../../lib/infra/config/active-profile.ts';
import { isSet } from './caller.ts';
import { isDelegated } from './invocation.ts';
import { type CliWorld, profileFlag } from './session.ts';

/** One of the fields, and not in a comment: only then the file is worth a parser, which takes longer than many a command. */
const mentioned = /^[^#\n]*\b(?:output_format|no_color|non_interactive)\b/m;

/**
 * The world with what the active profile says about the command line (`runtime.output_format`, `no_color`,
 * `non_interactive`) in the place of variables that are not set. What is wrong with the profile its own command says.
 */
export async function withProfileDefaults(world: CliWorld): Promise<CliWorld> {
  const file = isDelegated(world.env) ? undefined : profileOf(world);
  const text = file === undefined ? undefined : textOf(file);
  if (file === undefined || text === undefined || !mentioned.test(text)) return world;
  const [{ parseYamlText }, { profileFileSchema }] = await Promise.all([
    import('../../lib/infra/config/yaml.ts'),
    import('../../lib/infra/config/profile-schema.ts'),
  ]);
  const parsed = parseYamlText(text, file, profileFileSchema);
  if ('issues' in parsed) return world;
  const { output_format: format, no_color: noColour, non_interactive: nonInteractive } = parsed.value.runtime;
  const env = { ...world.env };
  const otherwise = (name: string, value: string): void => {
    if (!isSet(env[name])) env[name] = value;
  };
  if (format === 'json') otherwise('SYSTEMPROMPT_OUTPUT_FORMAT', 'json');
  if (noColour) otherwise('NO_COLOR', '1');
  if (nonInteractive) otherwise('SYSTEMPROMPT_NON_INTERACTIVE', '1');
  return { ...world, env };
}

function profileOf({ argv, cwd, env }: CliWorld): string | undefined {
  const project = projectAt(
    env['SYSTEMPROMPT_ROOT'] ? [resolve(cwd, env['SYSTEMPROMPT_ROOT'])] : upwards(resolve(cwd)),
  );
  if (project === undefined) return undefined;
  const end = argv.indexOf('--');
  try {
    const { name } = activeProfile(project, { cwd, env, profile: profileFlag(end === -1 ? argv : argv.slice(0, end)) });
    return profileNameForm.test(name) ? join(project.projectDir, 'profiles', name, 'profile.yaml') : undefined;
  } catch {
    return undefined; // a damaged selection: the command that needs the profile says it
  }
}

function projectAt(folders: readonly string[]): ProjectPlace | undefined {
  const root = folders.find((folder) => existsSync(join(folder, '.systemprompt', 'instance.json')));
  return root === undefined ? undefined : { root, projectDir: join(root, '.systemprompt') };
}

function upwards(folder: string): string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...upwards(parent)];
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // not there, or not ours to read
  }
}
