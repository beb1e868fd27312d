import { createHash, randomUUID } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DataOwner, deviceBelow, readOwner, runsOn, socketAnswers } from '../../infra/process/postgres-owner.ts';
import { type CleanupItem, type Findings, sizeOf } from './item.ts';

/** A folder in which somebody is just starting looks like one that is left; after so long it is one. In ms. */
const settledMs = 60 * 60 * 1000;

/**
 * Data of root's instances whose project is gone. Only what provably belongs to one: the folder has a record, its name fits
 * the record, and `.systemprompt` is missing on a file system that is there, or is another instance's. Never under a
 * PostgreSQL that runs.
 *
 * @param folder where root's instances keep their data
 */
export async function goneInstances(folder: string): Promise<Findings> {
  if (process.getuid?.() !== 0 || !existsSync(folder)) return { items: [], kept: [] };
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
    const verdict = await judge(path, owner);
    if (verdict.gone !== undefined) items.push(await dataItem(path, verdict.gone));
    else if (verdict.kept !== undefined) kept.push(`${path}: ${verdict.kept}`);
  }
  if (unrecorded > 0) kept.push(`${unrecorded} folders in ${folder} do not say whose they are`);
  return { items, kept };
}

async function judge(path: string, { id, dir, device }: DataOwner): Promise<{ gone?: string; kept?: string }> {
  let gone: string;
  if (existsSync(dir)) {
    const present = idOf(dir);
    if (present === undefined || present === id) return {};
    gone = `${dir} holds another instance now`;
  } else {
    if (deviceBelow(dir) !== device) return { kept: `${dir} is missing, maybe because its file system is not mounted` };
    gone = `${dir} is gone`;
  }
  const socketDir = join(path, 'socket');
  const entries = existsSync(socketDir) ? readdirSync(socketDir, { withFileTypes: true }) : [];
  const sockets = entries.filter((entry) => entry.isSocket());
  const running = await runsOn(
    join(path, 'data'),
    sockets.map((entry) => join(socketDir, entry.name)),
  );
  return running === undefined ? { gone } : { kept: `${gone}, but ${running}` };
}

function idOf(dir: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(dir, 'instance.json'), 'utf8')) as { id?: string }).id;
  } catch {
    return undefined; // damaged: it may still be that very instance
  }
}

async function dataItem(path: string, reason: string): Promise<CleanupItem> {
  return {
    kind: 'data',
    what: path,
    bytes: await sizeOf(path),
    reason,
    async remove() {
      // First out of the way as a whole: half of a data directory must never look like one.
      const aside = join(path, '..', `.removing-${randomUUID()}`);
      await rename(path, aside);
      await rm(aside, { recursive: true });
    },
  };
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
    if (now - lstatSync(path).mtimeMs < settledMs || !(await isDead(path))) continue;
    const remove = (): Promise<void> => rm(path, { recursive: true });
    items.push({ kind: 'socket', what: path, bytes: 0, reason: 'nothing listens on its sockets', remove });
  }
  return { items, kept: [] };
}

/** Whether it holds nothing but sockets of ours that nobody listens on. */
async function isDead(path: string): Promise<boolean> {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (/^\.s\.PGSQL\.\d+\.lock$/.test(entry.name)) continue;
    if (!entry.isSocket() || (await socketAnswers(join(path, entry.name)))) return false;
  }
  return true;
}
