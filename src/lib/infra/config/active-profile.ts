import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { ConfigInvalidError, PreconditionError } from '../../shared/errors.ts';
import { isBelow, isWithin } from '../../shared/paths.ts';

// On the hot path of `infra services status`: node's own modules only, no zod, no YAML.

/** The file by which a folder says which profile commands mean that are started in it or below it. */
export const directoryProfileFile = '.systemprompt-profile';
/** Under `.systemprompt/`: the profile that was selected for the whole project. */
export const selectionFile = 'selection.json';
const defaultProfile = 'local';
export const defaultTenant = 'local';

/** What profiles and tenants may be called: it becomes the name of a folder. */
export const profileNameForm = /^[a-z0-9][a-z0-9-]{0,49}$/;

/** Why a profile is the active one, the strongest reason first. */
export type ProfileOrigin = 'flag' | 'environment' | 'directory' | 'selection' | 'only' | 'default';

/** The profile that a command means. */
export interface ActiveProfile {
  readonly name: string;
  readonly from: ProfileOrigin;
  /** The file that says so, for those that one does. */
  readonly file?: string;
}

/** A project folder; `root` holds `projectDir`, which is `.systemprompt/`. */
export interface ProjectPlace {
  readonly root: string;
  readonly projectDir: string;
}

/** What a run of the command line says about its profile. */
export interface ProfileRequest {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of the flag `--profile`. */
  readonly profile?: string | undefined;
}

/**
 * The profile that a command means: the flag, else `SYSTEMPROMPT_PROFILE`, else what the nearest folder upwards says (up to
 * the project's), else what was selected for the project, else the only one that there is, else `local`.
 * Whether there is one of that name is not looked at.
 * @throws PreconditionError when a file that selects one is damaged
 */
export function activeProfile(project: ProjectPlace, { cwd, env, profile }: ProfileRequest): ActiveProfile {
  const variable = env['SYSTEMPROMPT_PROFILE'];
  if (profile !== undefined && profile !== variable) return { name: profile, from: 'flag' };
  if (variable !== undefined && variable !== '') return { name: variable, from: 'environment' };
  return (
    ofDirectory(project.root, resolve(cwd)) ??
    ofSelection(project.projectDir) ??
    theOnly(project.projectDir) ?? { name: defaultProfile, from: 'default' }
  );
}

/** The nearest folder that says one. What lies above the project is about others. */
function ofDirectory(root: string, cwd: string): ActiveProfile | undefined {
  for (let folder = isWithin(root, cwd) ? cwd : root; ; folder = dirname(folder)) {
    const file = join(folder, directoryProfileFile);
    const text = textOf(file);
    if (text !== undefined) return { name: checkedName(text.trim(), file), from: 'directory', file };
    if (folder === root || folder === dirname(folder)) return undefined;
  }
}

function ofSelection(projectDir: string): ActiveProfile | undefined {
  const file = join(projectDir, selectionFile);
  const text = textOf(file);
  if (text === undefined) return undefined;
  let name: unknown;
  try {
    name = (JSON.parse(text) as { profile?: unknown } | null)?.profile;
  } catch {
    name = undefined; // not JSON: the check below refuses it
  }
  return { name: checkedName(typeof name === 'string' ? name : '', file), from: 'selection', file };
}

function theOnly(projectDir: string): ActiveProfile | undefined {
  let names: string[];
  try {
    const entries = readdirSync(join(projectDir, 'profiles'), { withFileTypes: true });
    names = entries.filter((entry) => entry.isDirectory() && profileNameForm.test(entry.name)).map(({ name }) => name);
  } catch {
    return undefined; // whoever needs the profile says what is wrong with the folder
  }
  const [name] = names;
  return names.length === 1 && name !== undefined && name !== defaultProfile ? { name, from: 'only' } : undefined;
}

function checkedName(name: string, file: string): string {
  if (profileNameForm.test(name)) return name;
  throw new PreconditionError(`${file} holds no name of a profile.`, {
    hint: 'Write one name into it (lower-case letters, digits and dashes), or remove the file.',
    data: { file },
  });
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new PreconditionError(`${file} can't be read (${code}).`, { cause: error, data: { file } });
  }
}

const tenantLine = /^tenant[ \t]*:(.*)$/;
const tenantValue =
  /^[ \t]+(?:"([a-z0-9][a-z0-9-]{0,49})"|'([a-z0-9][a-z0-9-]{0,49})'|([a-z0-9][a-z0-9-]{0,49}))[ \t]*(?:[ \t]#.*)?$/;
/** As large as a profile may be; a larger one is refused when it is loaded. */
const profileBytesMax = 1024 * 1024;

/**
 * The tenant of a profile by its text, without a YAML parser: the line `tenant: name` at the left margin. Loading the profile
 * confirms that the parser sees the same.
 * @param file as it is named in findings
 * @throws ConfigInvalidError for a line that is about the tenant and not written so
 */
export function scanTenant(text: string, file: string): string {
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const value = tenantLine.exec(line)?.[1];
    if (value === undefined) continue;
    const found = tenantValue.exec(value);
    const name = found?.[1] ?? found?.[2] ?? found?.[3];
    if (name !== undefined) return name;
    const message = '`tenant` must be a plain name on the same line';
    throw new ConfigInvalidError([
      {
        file,
        line: index + 1,
        column: 1,
        message,
        hint: 'write it as `tenant: name`: lower-case letters, digits and dashes',
      },
    ]);
  }
  return defaultTenant;
}

/**
 * The tenant that a profile names; `local` when it names none, or when there is no such profile.
 * @throws ConfigInvalidError as {@link scanTenant} does
 */
export function tenantOfProfile(projectDir: string, profile: string): string {
  const { file, text } = profileTextOf(projectDir, profile) ?? {};
  if (file === undefined || text === undefined) return defaultTenant;
  return scanTenant(text, isBelow(process.cwd(), file) ? relative(process.cwd(), file) : file);
}

/** The file of a profile and its text; undefined when it can't be read: whoever reads the profile itself says why. */
export function profileTextOf(
  projectDir: string,
  profile: string,
): { readonly file: string; readonly text: string } | undefined {
  if (!profileNameForm.test(profile)) return undefined;
  const file = join(projectDir, 'profiles', profile, 'profile.yaml');
  try {
    const stats = statSync(file);
    if (!stats.isFile() || stats.size > profileBytesMax) return undefined;
    return { file, text: readFileSync(file, 'utf8') };
  } catch {
    return undefined;
  }
}

/** Under `.systemprompt/`: the state of each tenant but `local`, a folder each. */
export const tenantsFolder = 'tenants';
/** In a tenant's folder: it is being deleted, and nothing may be started in it any more. */
export const deletionMark = 'deleting.json';

/** Where the state of a tenant lies. */
export function tenantDir(projectDir: string, tenant: string): string {
  return tenant === defaultTenant ? projectDir : join(projectDir, tenantsFolder, tenant);
}
