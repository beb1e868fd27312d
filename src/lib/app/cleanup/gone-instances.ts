import { createHash, randomUUID } from 'node:crypto';
import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { instanceIdIn } from '../../infra/config/instance-site.ts';
import { hasCode } from '../../infra/process/identity.ts';
import { type DataOwner, deviceBelow, readOwner, runsOn, socketAnswers } from '../../infra/process/postgres-owner.ts';
import { ConflictError } from '../../shared/errors.ts';
import { bindControlSocket } from '../supervisor/lock.ts';
import { type CleanupItem, type Findings, sizeOf } from './item.ts';
import { InstancesNear } from './moved-instances.ts';

/** A folder in which somebody is just starting looks like one that is left; after so long it is one. In ms. */
const settledMs = 60 * 60 * 1000;

/**
 * Data of root's instances whose project is gone. Only what provably belongs to one: the folder has a record, its name fits
 * the record, and `.systemprompt` is missing on a file system that is there, or is another instance's. Never under a
 * PostgreSQL that runs.
 *
 * @param folder where root's instances keep their data
 * @param own id of the instance that we are in: its data is never gone, although its record still names the old place after
 *   the project was moved
 */
export async function goneInstances(folder: string, own?: string): Promise<Findings> {
  if (process.getuid?.() !== 0 || !existsSync(folder)) return { items: [], kept: [] };
  const near = new InstancesNear();
  const items: CleanupItem[] = [];
  const kept: string[] = [];
  let unrecorded = 0;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    // The rest of a removal that was interrupted.
    if (/^\.removing-[0-9a-f-]{36}$/.test(name)) items.push(await dataItem(path, 'its removal was interrupted'));
    if (!/^[0-9a-f]{12}$/.test(name)) continue;
    const owner = await readOwner(path).catch(() => undefined); // damaged: proves nothing
    if (owner === undefined || createHash('sha256').update(owner.id).digest('hex').slice(0, 12) !== name) {
      unrecorded += 1;
      continue;
    }
    if (owner.id === own) continue;
    const verdict = await judge(path, owner, near);
    if (verdict.gone !== undefined) items.push(await dataItem(path, verdict.gone, owner));
    else if (verdict.kept !== undefined) kept.push(`${path}: ${verdict.kept}`);
  }
  if (unrecorded > 0) kept.push(`${unrecorded} folders in ${folder} do not say whose they are`);
  return { items, kept };
}

async function judge(
  path: string,
  { id, dir, device }: DataOwner,
  near: InstancesNear,
): Promise<{ gone?: string; kept?: string }> {
  let gone: string;
  if (existsSync(dir)) {
    const present = instanceIdIn(dir);
    if (present === undefined || present === id) return {};
    gone = `${dir} holds another instance now`;
  } else {
    if (deviceBelow(dir) !== device) return { kept: `${dir} is missing, maybe because its file system is not mounted` };
    gone = `${dir} is gone`;
  }
  const moved = near.find(dir, id);
  if (moved !== undefined)
    return { kept: `its project was moved from ${dir} to ${moved}; the next start there says so` };
  const socketDir = join(path, 'socket');
  const entries = existsSync(socketDir) ? readdirSync(socketDir, { withFileTypes: true }) : [];
  const sockets = entries.filter((entry) => entry.isSocket());
  const running = await runsOn(
    join(path, 'data'),
    sockets.map((entry) => join(socketDir, entry.name)),
  );
  return running === undefined ? { gone } : { kept: `${gone}, but ${running}` };
}

/** @param owner whose it was; none for what is left of a removal */
async function dataItem(path: string, reason: string, owner?: DataOwner): Promise<CleanupItem> {
  return {
    kind: 'data',
    what: path,
    bytes: await sizeOf(path),
    reason,
    async remove() {
      if (owner !== undefined) await requireStillGone(path, owner);
      // First out of the way as a whole: half of a data directory must never look like one.
      const aside = join(path, '..', `.removing-${randomUUID()}`);
      await rename(path, aside);
      await rm(aside, { recursive: true });
    },
  };
}

/** Somebody may have come back to it since it was looked at: other things are removed before it, and that takes time. */
async function requireStillGone(path: string, owner: DataOwner): Promise<void> {
  const now = await readOwner(path);
  const { gone } = now?.id === owner.id ? await judge(path, now, new InstancesNear()) : {};
  if (gone === undefined) throw new ConflictError(`${path} is in use again`);
}

/**
 * Folders of sockets that nothing listens on, below the one that the user's instances share in /tmp. An instance that still
 * exists makes its own again at the next start.
 *
 * @param shared that folder
 * @param own the folder of this instance, which is not looked at
 */
export async function deadSocketFolders(shared: string, own: string | undefined, now = Date.now()): Promise<Findings> {
  const stats = lstatSync(shared, { throwIfNoEntry: false });
  if (stats?.isDirectory() !== true || stats.uid !== process.getuid?.()) return { items: [], kept: [] };
  const items: CleanupItem[] = [];
  for (const name of readdirSync(shared)) {
    const path = join(shared, name);
    if (path === own || !/^[0-9a-f]{12}$/.test(name)) continue;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory() !== true || now - found.mtimeMs < settledMs || !(await isDead(path))) continue;
    const remove = (): Promise<void> => removeSockets(path);
    items.push({ kind: 'socket', what: path, bytes: 0, reason: 'nothing listens on its sockets', remove });
  }
  return { items, kept: [] };
}

/**
 * Removes a folder of sockets under the lock of the instance whose it is: it may be starting in this moment. What has come into
 * the folder since keeps it.
 */
async function removeSockets(path: string): Promise<void> {
  if (!(await isDead(path))) throw new ConflictError(`${path} is in use again`);
  const lock = await bindControlSocket(createServer(), join(path, 'control.sock'));
  try {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.name === 'control.sock') continue; // the lock's own
      const socket = join(path, entry.name.replace(/\.lock$/, ''));
      if (await socketAnswers(socket)) throw new ConflictError(`${socket} is in use again`);
      if (entry.isSocket() || isSocketLock(entry.name)) await unlink(join(path, entry.name));
    }
  } finally {
    await lock.release();
  }
  await rmdir(path);
}

function isSocketLock(name: string): boolean {
  return /^\.s\.PGSQL\.\d+\.lock$/.test(name);
}

/** Whether it holds nothing but sockets of ours that nobody listens on. */
async function isDead(path: string): Promise<boolean> {
  for (const entry of entriesOf(path)) {
    if (isSocketLock(entry.name)) continue;
    if (!entry.isSocket() || (await socketAnswers(join(path, entry.name)))) return false;
  }
  return true;
}

/** None of a folder that has gone meanwhile. */
function entriesOf(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}
