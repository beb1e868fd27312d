import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PreconditionError } from '../../shared/errors.ts';
import { hasCode, isLiving, processInfo } from './identity.ts';
import { commandOf, listProcesses } from './table.ts';

/** A postmaster that runs on our data directory. */
export interface RunningPostmaster {
  readonly pid: number;
  readonly port: number;
}

const LEFTOVER_WAIT_MS = 2000;
const LEFTOVER_POLL_MS = 20;

/** Process id and port in postmaster.pid (PostgreSQL's src/include/utils/pidfile.h: line 1 and line 4). */
async function readPidFile(dataDir: string): Promise<RunningPostmaster | undefined> {
  try {
    const lines = (await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n');
    return { pid: Number(lines[0]), port: Number(lines[3]) };
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/**
 * A name for the cluster that its processes show: `postgres: <name>: checkpointer`. Tells our backends apart where the
 * system does not show their working directory.
 */
export function clusterNameOf(dataDir: string): string {
  return `systemprompt_${createHash('sha256').update(dataDir).digest('hex').slice(0, 12)}`;
}

/**
 * Whether this process is PostgreSQL on that data directory, so that a pid that now belongs to somebody else is told
 * apart. Each of its processes has the directory as its working directory; root in a container without CAP_SYS_PTRACE may
 * not see that, and macOS has no cheap way: then the command line decides (the postmaster's names the directory, the
 * others' the cluster).
 */
async function worksIn(pid: number, dataDir: string): Promise<boolean> {
  if (process.platform === 'linux') {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(dataDir);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ESRCH')) return false;
      if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
    }
  }
  const command = await commandLineOf(pid);
  return command.includes(dataDir) || command.startsWith(`postgres: ${clusterNameOf(dataDir)}:`);
}

async function commandLineOf(pid: number): Promise<string> {
  if (process.platform !== 'linux') return (await commandOf(pid)) ?? '';
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return '';
    throw error;
  }
}

/** The postmaster that runs on this data directory, whoever started it. */
export async function findPostmaster(dataDir: string): Promise<RunningPostmaster | undefined> {
  const recorded = await readPidFile(dataDir);
  if (recorded === undefined || !Number.isSafeInteger(recorded.pid) || recorded.pid <= 1) return undefined;
  const info = await processInfo(recorded.pid);
  if (info === undefined || !isLiving(info)) return undefined;
  return (await worksIn(recorded.pid, dataDir)) ? recorded : undefined;
}

/**
 * Clears the way after a crash. PostgreSQL itself believes a lock file whose pid is alive, whoever has that pid now, and
 * refuses to start while processes of the last run still hold its shared memory.
 * @throws PreconditionError when a postmaster runs there
 */
export async function clearStaleLock(
  dataDir: string,
  socketDir: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const running = await findPostmaster(dataDir);
  if (running !== undefined) {
    throw new PreconditionError(`The database runs already (pid ${running.pid}, port ${running.port}).`, {
      hint: `To stop it: kill -INT ${running.pid}`,
      data: { pid: running.pid, port: running.port, dataDir },
    });
  }
  await endLeftovers(dataDir, signal);
  const stale = await readPidFile(dataDir);
  await rm(join(dataDir, 'postmaster.pid'), { force: true });
  if (stale === undefined || socketDir === undefined || !Number.isSafeInteger(stale.port)) return;
  for (const suffix of ['', '.lock']) await rm(join(socketDir, `.s.PGSQL.${stale.port}${suffix}`), { force: true });
}

/** Backends notice the postmaster's death at once when idle; one that computes does not, and is ended. */
async function endLeftovers(dataDir: string, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  for (;;) {
    const leftovers = await leftoversOf(dataDir);
    if (leftovers.length === 0) return;
    const waited = performance.now() - started;
    if (waited > LEFTOVER_WAIT_MS) for (const pid of leftovers) kill(pid);
    if (waited > 2 * LEFTOVER_WAIT_MS) {
      throw new PreconditionError(`Processes of the database's last run do not end: pid ${leftovers.join(', ')}.`, {
        data: { pids: leftovers, dataDir },
      });
    }
    await delay(LEFTOVER_POLL_MS, undefined, { signal });
  }
}

async function leftoversOf(dataDir: string): Promise<number[]> {
  const found: number[] = [];
  for (const { pid } of await listProcesses()) {
    if (pid === process.pid) continue;
    // A shell that stands in the folder is not one of them.
    if (/^(\S*\/)?postgres\b/.test(await commandLineOf(pid)) && (await worksIn(pid, dataDir))) found.push(pid);
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}
