import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, type Stats, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PreconditionError } from '../../shared/errors.ts';
import { assertPrivate, shellQuote } from './permissions.ts';

/** The shortest limit among the systems we run on: sun_path has 104 bytes on macOS (108 on Linux), the last one is NUL. */
const SOCKET_PATH_MAX_BYTES = 103;
/** The longest name that any of us puts into the folder: `.s.PGSQL.65535.lock` of PostgreSQL. */
const LONGEST_NAME_BYTES = 20;
/** Under `run/`: which folder was chosen. */
export const runtimeRecord = 'runtime.json';

function statOrNothing(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** A folder of our own that nobody else can put entries into. */
function isOurs(stats: Stats | undefined): boolean {
  if (stats?.isDirectory() !== true) return false;
  return process.getuid === undefined || (stats.uid === process.getuid() && (stats.mode & 0o022) === 0);
}

/**
 * Where an instance's sockets lie: a short folder, since socket paths end at about 104 bytes. Follows the XDG Base
 * Directory Specification when the user has a runtime folder, else a folder of the user's own under /tmp.
 */
export function preferredRuntimeDir(instanceId: string, env: NodeJS.ProcessEnv): string {
  const name = createHash('sha256').update(instanceId).digest('hex').slice(0, 12);
  const base = env.XDG_RUNTIME_DIR;
  if (base?.startsWith('/') && isOurs(statOrNothing(base))) {
    const dir = join(base, name);
    if (Buffer.byteLength(dir) + 1 + LONGEST_NAME_BYTES <= SOCKET_PATH_MAX_BYTES) return dir;
  }
  return join(`/tmp/systemprompt-${process.getuid?.() ?? 0}`, name);
}

/**
 * The folder recorded under `run/` by whoever made it, so that a shell with another environment (cron, sudo, ssh) finds
 * the same sockets; without a usable record, the preferred one. A record that leads nowhere (the runtime folder
 * of a login goes with its last session) counts as none.
 */
export function resolveRuntimeDir(runDir: string, instanceId: string, env: NodeJS.ProcessEnv): string {
  const preferred = preferredRuntimeDir(instanceId, env);
  const recorded = recordedRuntimeDir(runDir);
  return recorded !== undefined && recorded !== preferred && isOurs(statOrNothing(recorded)) ? recorded : preferred;
}

/** The runtime folder that was recorded under `run/`, whoever asks; it may be gone. */
export function recordedRuntimeDir(runDir: string): string | undefined {
  try {
    const record = JSON.parse(readFileSync(join(runDir, runtimeRecord), 'utf8')) as { dir?: unknown };
    return typeof record.dir === 'string' && record.dir.startsWith('/') ? record.dir : undefined;
  } catch {
    // A hint and nothing else: absent or damaged, the preferred folder is right and the next start writes it anew.
    return undefined;
  }
}

/**
 * Makes the runtime folder (0700) and records it under `run/`. Call it before the first socket is bound.
 * @throws PreconditionError when somebody else prepared the folder or its parent, which anyone can do under /tmp
 */
export async function ensureRuntimeDir(instance: {
  readonly runDir: string;
  readonly runtimeDir: string;
}): Promise<string> {
  const { runtimeDir } = instance;
  const parent = dirname(runtimeDir);
  if (!isOurs(await makeFolder(parent))) {
    throw new PreconditionError(`The folder for sockets can't be made in ${parent}: others can write there.`, {
      hint: `Make it yours alone: sudo chown ${process.getuid?.()} ${shellQuote(parent)} && chmod 700 ${shellQuote(parent)}`,
    });
  }
  assertPrivate(runtimeDir, await makeFolder(runtimeDir), 'The folder for sockets');
  const { writeFileAtomic } = await import('./atomic-file.ts');
  await writeFileAtomic(join(instance.runDir, runtimeRecord), `${JSON.stringify({ dir: runtimeDir })}\n`, 0o600);
  return runtimeDir;
}

async function makeFolder(dir: string): Promise<Stats> {
  await mkdir(dir, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return;
    throw new PreconditionError(`The folder for sockets ${dir} can't be made (${error.code}).`, { cause: error });
  });
  // lstat: a link that a stranger put there must not count as a folder of ours.
  const stats = lstatSync(dir);
  if (stats.isDirectory()) return stats;
  throw new PreconditionError(`${dir} should be a folder for sockets and is something else.`, {
    hint: `Remove it: rm ${shellQuote(dir)}`,
  });
}
