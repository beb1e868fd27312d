import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { activeProfile, type ProfileRequest } from '../../infra/config/active-profile.ts';
import { namedServicesDir } from '../../infra/config/instance.ts';
import { NotFoundError, PreconditionError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import type { ExtensionPackage } from './workspace.ts';

const marks = ['services', 'extensions'];
const instanceFile = join('.systemprompt', 'instance.json');

/**
 * The folder of the project around `cwd`: `SYSTEMPROMPT_ROOT` when set, else the nearest folder upwards with an
 * instance, or with `services/` or `extensions/` beside a package.json. No instance has to be there: a pipeline builds
 * what it has just checked out.
 * @throws PreconditionError when there is none
 */
export function requireProject(cwd: string, env: NodeJS.ProcessEnv): string {
  if (env['SYSTEMPROMPT_ROOT']) return resolve(cwd, env['SYSTEMPROMPT_ROOT']);
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, instanceFile))) return folder;
    if (existsSync(join(folder, 'package.json')) && marks.some((name) => isFolder(join(folder, name)))) return folder;
    if (dirname(folder) === folder) break;
  }
  throw new PreconditionError(`There is no project in ${resolve(cwd)} or above it`, {
    hint: 'A project has a package.json, and services/ or extensions/ beside it',
    next: ['build mcp --help'],
  });
}

/**
 * The configuration as code of a project: what its active profile names, where it has one.
 * @param root as {@link requireProject} found it
 * @throws PreconditionError when a file that selects a profile is damaged
 */
export async function servicesOfProject(root: string, request: ProfileRequest): Promise<string> {
  const project = { root, projectDir: join(root, '.systemprompt') };
  const named = existsSync(join(root, instanceFile))
    ? await namedServicesDir(project, activeProfile(project, request).name)
    : undefined;
  return named ?? join(root, 'services');
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * The extensions with these names; all that are enabled when none is named.
 * @throws NotFoundError naming the nearest
 */
export function selectExtensions(
  packages: readonly ExtensionPackage[],
  names: readonly string[],
): readonly ExtensionPackage[] {
  if (names.length === 0) return packages.filter(({ enabled }) => enabled);
  const known = packages.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return packages.filter(({ name }) => names.includes(name));
  const [meant] = nearest(unknown, known, 1);
  throw new NotFoundError(`There is no extension ${unknown} in this project`, {
    hint: meant === undefined ? `It has ${known.join(', ') || 'none'}` : `Did you mean ${meant}?`,
    next: ['plugins mcp list-packages'],
  });
}
