import { existsSync, readFileSync, type Stats, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PreconditionError } from '../../shared/errors.ts';
import { packageRoot } from './package-root.ts';
import { assertOwned, assertPrivate } from './permissions.ts';
import { resolveRuntimeDir } from './runtime-dir.ts';

// On the hot path of `infra services status`: node's own modules only, no zod, no YAML, no cryptography.

const INSTANCE_FOLDER = '.systemprompt';
const INSTANCE_FILE = 'instance.json';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** One installation on this machine: a project folder and the private state beside it. All paths are absolute. */
export interface Instance {
  /** Random and permanent: processes of ours carry it as a marker. */
  readonly id: string;
  /** The project's folder, which holds `.systemprompt/`. */
  readonly root: string;
  /** `.systemprompt/`. */
  readonly dir: string;
  /** Configuration as code: the project's `services/`, or the package's own when the project has none. */
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
 * The instance that a command started in `cwd` means: `SYSTEMPROMPT_ROOT` when set, else the nearest folder upwards
 * that holds one.
 * @throws PreconditionError when there is one that is damaged, open to others or another user's
 */
export async function locateInstance(cwd: string, env: NodeJS.ProcessEnv): Promise<Instance | undefined> {
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
 * As `locateInstance`, for those who can't do without.
 * @throws PreconditionError when there is none
 */
export async function requireInstance(cwd: string, env: NodeJS.ProcessEnv): Promise<Instance> {
  const instance = await locateInstance(cwd, env);
  if (instance !== undefined) return instance;
  const where = env.SYSTEMPROMPT_ROOT
    ? `in ${newInstanceRoot(cwd, env)}, which SYSTEMPROMPT_ROOT names`
    : `in ${resolve(cwd)} or above it`;
  throw new PreconditionError(`There is no instance ${where}.`, {
    hint: 'The first start creates one; or change to the folder of your project.',
    next: ['infra services start'],
  });
}

/**
 * Creates the local instance: tenant `local`, profile `local`, master key and the secrets that every instance has.
 * Whole or not at all: of two creators at once one wins and both get the same instance; an existing one is left as it is.
 * @param root the project's folder; must exist
 * @throws PreconditionError when the folder can't be written or holds a damaged instance
 */
export async function createLocalInstance(root: string, env: NodeJS.ProcessEnv = process.env): Promise<Instance> {
  const folder = resolve(root);
  const existing = readInstance(folder, env);
  if (existing !== undefined) return existing;
  const { buildInstance } = await import('./create-instance.ts');
  await buildInstance(folder);
  const created = readInstance(folder, env);
  if (created !== undefined) return created;
  throw new PreconditionError(`${join(folder, INSTANCE_FOLDER)} is there and is no instance.`, {
    hint: 'Something else made it: move it away, or name another project folder with SYSTEMPROMPT_ROOT.',
  });
}

function readInstance(root: string, env: NodeJS.ProcessEnv): Instance | undefined {
  const dir = join(root, INSTANCE_FOLDER);
  const stats = statOrNothing(dir);
  if (stats?.isDirectory() !== true) return undefined;
  const file = join(dir, INSTANCE_FILE);
  const text = readOrNothing(file, dir, stats);
  if (text === undefined) {
    // Other programs may keep a folder of this name (in the home folder, say); ours is known by its key.
    if (existsSync(join(dir, 'master.key'))) throw damaged(file, 'is missing');
    return undefined;
  }
  assertPrivate(dir, stats, 'The instance folder');
  const runDir = join(dir, 'run');
  const id = parseId(text, file);
  const runtimeDir = resolveRuntimeDir(runDir, id, env);
  return {
    id,
    root,
    dir,
    servicesDir: servicesDirOf(root),
    runDir,
    logsDir: join(dir, 'logs'),
    dataDir: join(dir, 'data'),
    runtimeDir,
    controlSocket: join(runtimeDir, 'control.sock'),
  };
}

function servicesDirOf(root: string): string {
  const own = join(root, 'services');
  return statOrNothing(own)?.isDirectory() === true ? own : join(packageRoot(), 'services');
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
