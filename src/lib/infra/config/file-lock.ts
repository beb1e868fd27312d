import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { TimeoutError } from '../../shared/errors.ts';

interface Holder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** Start time of the process in clock ticks since boot, where the system tells (Linux): a pid may be used again. */
  readonly start: string | undefined;
}

const WAIT_MS = 10_000;

/**
 * Runs `work` while no other process (and nobody else in this one) runs work under the same lock file. The lock of a
 * process that died is taken over.
 *
 * The file comes into being by link(2), whole or not at all, and only one may remove the lock of a dead holder: the one
 * that holds a lock named after that holder's token. So a slow contender can't remove the lock of the next holder.
 * @param lockFile a path beside what it protects
 * @param waitMs how long to wait for the holder, in ms
 * @throws TimeoutError naming the holder's pid
 */
export async function withFileLock<T>(lockFile: string, work: () => Promise<T>, waitMs: number = WAIT_MS): Promise<T> {
  const deadline = performance.now() + waitMs;
  const release = await acquire(lockFile, deadline);
  try {
    return await work();
  } finally {
    await release();
  }
}

async function acquire(lockFile: string, deadline: number): Promise<() => Promise<void>> {
  const self: Holder = { token: randomUUID(), pid: process.pid, host: hostname(), start: startOf(process.pid) };
  const draft = `${lockFile}.${self.token}.tmp`;
  await writeFile(draft, JSON.stringify(self), { flag: 'wx', mode: 0o600 });
  try {
    for (let attempt = 0; ; attempt += 1) {
      if (await linked(draft, lockFile)) return () => rm(lockFile, { force: true });
      const holder = await readHolder(lockFile);
      if (holder !== undefined && isDead(holder)) {
        await removeDead(lockFile, holder, deadline);
        continue;
      }
      if (performance.now() > deadline) throw stillHeld(lockFile, holder);
      await delay(Math.min(5 * 2 ** attempt, 50) * (0.5 + Math.random()));
    }
  } finally {
    await rm(draft, { force: true });
  }
}

async function linked(draft: string, lockFile: string): Promise<boolean> {
  try {
    await link(draft, lockFile);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function readHolder(lockFile: string): Promise<Holder | undefined> {
  let text: string;
  try {
    text = await readFile(lockFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as Holder;
  } catch {
    // Holders link whole files only: a torn one outlived a power cut, and its holder did not.
    return { token: `torn ${text}`, pid: 0, host: hostname(), start: 'none' };
  }
}

async function removeDead(lockFile: string, dead: Holder, deadline: number): Promise<void> {
  const name = createHash('sha256').update(dead.token).digest('hex').slice(0, 12);
  const release = await acquire(`${lockFile}.${name}`, deadline);
  try {
    const current = await readHolder(lockFile);
    if (current?.token === dead.token) await rm(lockFile, { force: true });
  } finally {
    await release();
  }
}

/** Only of this host can we know; a holder elsewhere (a shared file system) is waited for. */
function isDead(holder: Holder): boolean {
  if (holder.host !== hostname()) return false;
  if (holder.pid === 0) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
  return holder.start !== undefined && startOf(holder.pid) !== holder.start;
}

/** Field 22 of /proc/<pid>/stat, proc_pid_stat(5); the second field is in parentheses and may hold anything. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    // No /proc on this system, or the process has gone: the pid alone decides.
    return undefined;
  }
}

function stillHeld(lockFile: string, holder: Holder | undefined): TimeoutError {
  const data = { lockFile, ...(holder === undefined ? {} : { pid: holder.pid, host: holder.host }) };
  if (holder === undefined) {
    const hint = 'Look at it, and remove it.';
    return new TimeoutError(`${lockFile} stands in the way and is no lock of ours.`, { hint, data });
  }
  const elsewhere = holder.host !== hostname();
  return new TimeoutError(`${lockFile} is held by the process ${holder.pid} on ${holder.host}.`, {
    hint: elsewhere ? 'If that machine or container is gone, remove the file.' : 'Wait for it to end, then try again.',
    data,
  });
}
