import { existsSync, readFileSync, type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PreconditionError } from '../../shared/errors.ts';
import {
  activeProfile,
  defaultTenant,
  deletionMark,
  type ProjectPlace,
  profileTextOf,
  tenantDir,
  tenantOfProfile,
} from './active-profile.ts';
import type { TenantWish } from './create-instance.ts';
import { packageRoot } from './package-root.ts';
import { assertOwned, assertPrivate } from './permissions.ts';
import { resolveRuntimeDir } from './runtime-dir.ts';

// On the hot path of `infra services status`: node's own modules only, no zod, no YAML, no cryptography.

const INSTANCE_FOLDER = '.systemprompt';
const INSTANCE_FILE = 'instance.json';
const defaultServices = 'services';
/** As tenants-file.ts has it, which loads zod. */
const TENANT_RECORD = 'tenant.json';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** One tenant of a project: what is isolated on this machine. All paths are absolute. */
export interface Instance {
  /** Random and permanent: processes of ours carry it as a marker. */
  readonly id: string;
  /** Name of the tenant. */
  readonly tenant: string;
  /** The project's folder, which holds `.systemprompt/`. */
  readonly root: string;
  /** `.systemprompt/`: profiles, sign-ins and the list of tenants, which the tenants of a project share. */
  readonly projectDir: string;
  /** The tenant's own state: keys, secrets, run files, logs, data. That of the tenant `local` is `.systemprompt/` itself. */
  readonly dir: string;
  /** Configuration as code: `paths.services` of the profile, else the project's `services/`, else the package's own. */
  readonly servicesDir: string;
  readonly runDir: string;
  readonly logsDir: string;
  readonly dataDir: string;
  /** Folder of the sockets, short because socket paths are; made by `ensureRuntimeDir`. */
  readonly runtimeDir: string;
  readonly controlSocket: string;
}

/** Where an instance would be made: `SYSTEMPROMPT_ROOT`, else the current folder. */
export function newInstanceRoot(cwd: string, env: NodeJS.ProcessEnv): string {
  return env.SYSTEMPROMPT_ROOT ? resolve(cwd, env.SYSTEMPROMPT_ROOT) : resolve(cwd);
}

/**
 * The instance that a command started in `cwd` means: of the project that is found as {@link locateProject} says, the tenant of
 * the active profile.
 * @param profile of the flag `--profile`
 * @throws PreconditionError when there is one that is damaged, open to others, another user's or just being deleted, or when the
 *   profile names a tenant that there is not; ConfigInvalidError when its line `tenant` can't be read
 */
export async function locateInstance(
  cwd: string,
  env: NodeJS.ProcessEnv,
  profile?: string,
): Promise<Instance | undefined> {
  const project = await locateProject(cwd, env);
  if (project === undefined) return undefined;
  const active = activeProfile(project, { cwd, env, profile });
  const tenant = tenantOfProfile(project.projectDir, active.name);
  const found = await tenantInstance(project, tenant, env);
  const servicesDir = await namedServicesDir(project, active.name);
  if (found !== undefined) return servicesDir === undefined ? found : { ...found, servicesDir };
  throw new PreconditionError(`The profile \`${active.name}\` names the tenant \`${tenant}\`, which there is not.`, {
    hint: 'Create it, or name another in the profile.',
    data: { profile: active.name, tenant },
    next: [`cloud tenant create ${tenant} --type local`, 'cloud tenant list'],
  });
}

/**
 * The project around `cwd`, as its tenant `local`, which each has: `SYSTEMPROMPT_ROOT` when set, else the nearest folder upwards
 * that holds one.
 * @throws PreconditionError when there is one that is damaged, open to others or another user's
 */
export async function locateProject(cwd: string, env: NodeJS.ProcessEnv): Promise<Instance | undefined> {
  if (env.SYSTEMPROMPT_ROOT) return readInstance(newInstanceRoot(cwd, env), env);
  let folder = resolve(cwd);
  for (;;) {
    const found = readInstance(folder, env);
    if (found !== undefined) return found;
    const parent = dirname(folder);
    if (parent === folder) return undefined;
    folder = parent;
  }
}

/**
 * A tenant of a project by its name.
 * @returns undefined when there is none
 * @throws PreconditionError when it is damaged, open to others, another user's or just being deleted
 */
export async function tenantInstance(
  { root, projectDir }: ProjectPlace,
  tenant: string,
  env: NodeJS.ProcessEnv,
): Promise<Instance | undefined> {
  if (tenant === defaultTenant) return readInstance(root, env);
  const dir = tenantDir(projectDir, tenant);
  if (existsSync(join(dir, deletionMark))) {
    throw new PreconditionError(`The tenant \`${tenant}\` is being deleted, and that is not finished.`, {
      hint: 'Finish it.',
      data: { tenant },
      next: [`cloud tenant delete ${tenant} --yes`],
    });
  }
  return tenantState({ root, projectDir }, tenant, env);
}

/** As {@link tenantInstance}, also of one that is being deleted: for whoever finishes that. */
export function tenantState(
  { root, projectDir }: ProjectPlace,
  tenant: string,
  env: NodeJS.ProcessEnv,
): Instance | undefined {
  const dir = tenantDir(projectDir, tenant);
  if (tenant !== defaultTenant) refuseTwin(dir, tenant);
  return readState({ root, projectDir, dir, tenant }, env);
}

/** A copy of a tenant's folder, or a link to it, has the id, the database and the processes of that one. */
function refuseTwin(dir: string, tenant: string): void {
  let id: unknown;
  try {
    id = (JSON.parse(readFileSync(join(dir, TENANT_RECORD), 'utf8')) as { id?: unknown } | null)?.id;
  } catch {
    return; // whoever reads the record says what is wrong with it
  }
  if (typeof id !== 'string' || id === tenant) return;
  throw new PreconditionError(`${dir} holds the state of another tenant, \`${id.slice(0, 60)}\`.`, {
    hint: 'It is a copy of its folder, or a link to it. Move it away, and create the tenant anew.',
    data: { tenant },
    next: ['cloud tenant list'],
  });
}

/**
 * As `locateInstance`, for those who can't do without.
 * @throws PreconditionError when there is none
 */
export async function requireInstance(cwd: string, env: NodeJS.ProcessEnv, profile?: string): Promise<Instance> {
  const instance = await locateInstance(cwd, env, profile);
  if (instance !== undefined) return instance;
  throw noInstance(cwd, env);
}

/**
 * As `locateProject`, for those who can't do without.
 * @throws PreconditionError when there is none
 */
export async function requireProject(cwd: string, env: NodeJS.ProcessEnv): Promise<Instance> {
  const project = await locateProject(cwd, env);
  if (project !== undefined) return project;
  throw noInstance(cwd, env);
}

function noInstance(cwd: string, env: NodeJS.ProcessEnv): PreconditionError {
  const where = env.SYSTEMPROMPT_ROOT
    ? `in ${newInstanceRoot(cwd, env)}, which SYSTEMPROMPT_ROOT names`
    : `in ${resolve(cwd)} or above it`;
  return new PreconditionError(`There is no instance ${where}.`, {
    hint: 'The first start creates one; or change to the folder of your project.',
    next: ['infra services start'],
  });
}

/**
 * Creates the project and in it the local instance: tenant `local`, profile `local`, master key and the secrets that every instance has.
 * Whole or not at all: of two creators at once one wins and both get the same instance; an existing one is left as it is.
 * @param root the project's folder; must exist
 * @throws PreconditionError when the folder can't be written or holds a damaged instance
 */
export async function createLocalInstance(
  root: string,
  env: NodeJS.ProcessEnv = process.env,
  wish: TenantWish = {},
): Promise<Instance> {
  const folder = resolve(root);
  const existing = readInstance(folder, env);
  if (existing !== undefined) return existing;
  const { buildInstance } = await import('./create-instance.ts');
  await buildInstance(folder, env, wish);
  const created = readInstance(folder, env);
  if (created !== undefined) return created;
  throw new PreconditionError(`${join(folder, INSTANCE_FOLDER)} is there and is no instance.`, {
    hint: 'Something else made it: move it away, or name another project folder with SYSTEMPROMPT_ROOT.',
  });
}

function readInstance(root: string, env: NodeJS.ProcessEnv): Instance | undefined {
  const dir = join(root, INSTANCE_FOLDER);
  return readState({ root, projectDir: dir, dir, tenant: defaultTenant }, env);
}

type StatePlace = Pick<Instance, 'root' | 'projectDir' | 'dir' | 'tenant'>;

function readState(place: StatePlace, env: NodeJS.ProcessEnv): Instance | undefined {
  const { root, dir } = place;
  const stats = statOrNothing(dir);
  if (stats?.isDirectory() !== true) return undefined;
  const file = join(dir, INSTANCE_FILE);
  const text = readOrNothing(file, dir, stats);
  if (text === undefined) {
    // Other programs may keep a folder of this name (in the home folder, say); ours is known by its key.
    if (['master.key', 'master-key.json'].some((name) => existsSync(join(dir, name))))
      throw damaged(file, 'is missing');
    return undefined;
  }
  assertPrivate(dir, stats, 'The instance folder');
  const runDir = join(dir, 'run');
  const id = parseId(text, file);
  const runtimeDir = resolveRuntimeDir(runDir, id, env);
  return {
    ...place,
    id,
    servicesDir: servicesDirOf(root),
    runDir,
    logsDir: join(dir, 'logs'),
    dataDir: join(dir, 'data'),
    runtimeDir,
    controlSocket: join(runtimeDir, 'control.sock'),
  };
}

/** The project's `services/`, or the package's own while the project has none. */
export function servicesDirOf(root: string): string {
  const own = join(root, defaultServices);
  return statOrNothing(own)?.isDirectory() === true ? own : packageServicesDir();
}

/** The `services/` that come with the package, which nobody changes. */
export function packageServicesDir(): string {
  return join(packageRoot(), defaultServices);
}

/** Where `paths.services` of a profile leads; undefined when it says nothing else than the default. */
export function resolveServicesDir(root: string, written: string): string | undefined {
  const path = resolve(root, written);
  return path === join(root, defaultServices) ? undefined : path;
}

/** `paths` in a profile, and not in a comment: only then the file is worth a parser, which takes longer than many a command. */
const mentionsPaths = /^[^#\n]*\bpaths\b/m;

/**
 * The folder that a profile names by `paths.services`; undefined when it names none, and when the profile does not hold, of which
 * whoever loads it says what is wrong.
 */
export async function namedServicesDir(
  { root, projectDir }: ProjectPlace,
  profile: string,
): Promise<string | undefined> {
  const { file, text } = profileTextOf(projectDir, profile) ?? {};
  if (file === undefined || text === undefined || !mentionsPaths.test(text)) return undefined;
  const [{ parseYamlText }, { profileFileSchema }] = await Promise.all([
    import('./yaml.ts'),
    import('./profile-schema.ts'),
  ]);
  const parsed = parseYamlText(text, file, profileFileSchema);
  return 'issues' in parsed ? undefined : resolveServicesDir(root, parsed.value.paths.services);
}

function statOrNothing(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // A folder on the way up that we may not look into can't hold an instance of ours.
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EACCES' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}

function readOrNothing(file: string, dir: string, dirStats: Stats): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    if (failure.code === 'ENOENT') return undefined;
    assertOwned(dir, dirStats, 'The instance folder');
    throw damaged(file, `can't be read (${failure.code})`, error);
  }
}

function parseId(text: string, file: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(file, 'is not JSON', error);
  }
  const id = typeof value === 'object' && value !== null && 'id' in value ? value.id : undefined;
  if (typeof id !== 'string' || !UUID.test(id)) throw damaged(file, 'holds no instance id');
  return id;
}

function damaged(file: string, what: string, cause?: unknown): PreconditionError {
  return new PreconditionError(`The instance is damaged: ${file} ${what}.`, {
    hint: `Restore the file from a backup, or, if nothing in ${dirname(file)} is worth keeping, remove that folder and start anew.`,
    data: { file },
    ...(cause === undefined ? {} : { cause }),
  });
}
