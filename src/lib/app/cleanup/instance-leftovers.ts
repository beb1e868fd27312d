import { existsSync, lstatSync, readdirSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { tenantsFolder } from '../../infra/config/active-profile.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { identify } from '../../infra/process/identity.ts';
import { readSupervisorFile, supervisorFile } from '../../infra/process/launch.ts';
import { socketAnswers } from '../../infra/process/postgres-owner.ts';
import { logsKept } from '../supervisor/run.ts';
import { removeTenantDraft, tenantDraft } from '../tenants/drafts.ts';
import type { CleanupItem } from './item.ts';

/** A write that is under way takes milliseconds; what is older was interrupted. In ms. */
const interruptedAfterMs = 60_000;
const halfWritten = /\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

function file(kind: CleanupItem['kind'], path: string, reason: string): CleanupItem {
  const bytes = lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return { kind, what: path, bytes, reason, remove: () => rm(path, { force: true }) };
}

/** Sockets and run files of a supervisor and a database that ended without a word. Ask only when no supervisor runs. */
export async function staleRunFiles(instance: Instance): Promise<CleanupItem[]> {
  const items: CleanupItem[] = [];
  const { runtimeDir } = instance;
  for (const name of await readdir(runtimeDir).catch(() => [])) {
    const path = join(runtimeDir, name);
    const socket = name.replace(/\.lock$/, '');
    if (!/^(control\.sock|\.s\.PGSQL\.\d+)$/.test(socket)) continue;
    if (lstatSync(path, { throwIfNoEntry: false })?.uid !== process.getuid?.()) continue;
    if (await socketAnswers(join(runtimeDir, socket))) continue;
    items.push(file('socket', path, 'nothing listens on it'));
  }
  const last = readSupervisorFile(instance);
  if (last !== undefined && (last.state === 'booting' || last.state === 'running')) {
    const who = await identify(last.pid);
    const reason = `it says that supervisor ${last.pid} runs, which ${who === undefined ? 'is gone' : 'is another process'}`;
    items.push(file('run file', supervisorFile(instance), reason));
  }
  return items;
}

/** Halves of atomic writes, and drafts of an instance, that were interrupted. */
export function interruptedWrites(instance: Instance, now = Date.now()): CleanupItem[] {
  const { projectDir, dir } = instance;
  const items: CleanupItem[] = [];
  // The databases' files are their own, and other tenants' state is looked at when it is their turn.
  const closed = new Set([join(projectDir, tenantsFolder), join(projectDir, 'data'), instance.dataDir]);
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && !closed.has(path)) visit(path);
      if (!entry.isFile() || !halfWritten.test(entry.name)) continue;
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats !== undefined && now - stats.mtimeMs > interruptedAfterMs)
        items.push(file('half-written file', path, 'the write was interrupted'));
    }
  };
  visit(projectDir);
  if (dir !== projectDir) visit(dir);
  for (const path of drafts(instance, now)) {
    const remove = (): Promise<void> => removeTenantDraft(path);
    items.push({ kind: 'draft', what: path, bytes: 0, reason: 'who made it is gone', remove });
  }
  return items;
}

/** Folders of a project and of tenants that were being made or taken away when whoever did it was killed. */
function drafts({ root, projectDir }: Instance, now: number): string[] {
  const tenants = join(projectDir, tenantsFolder);
  const forms = [
    { folder: root, form: /^\.systemprompt\.(?:new|deleting)-(\d+)-[0-9a-f-]{36}$/ },
    { folder: tenants, form: tenantDraft },
  ];
  return forms.flatMap(({ folder, form }) => {
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return names.flatMap((name) => {
      const pid = Number(form.exec(name)?.[1]);
      if (!Number.isSafeInteger(pid) || isRunning(pid)) return [];
      const path = join(folder, name);
      // In another container the same number may be somebody who is at it right now.
      const made = lstatSync(path, { throwIfNoEntry: false });
      return made === undefined || now - made.mtimeMs <= interruptedAfterMs ? [] : [path];
    });
  });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * Logs of runs that are no longer kept: all but the newest of each service, and all of MCP servers that are no longer
 * configured.
 *
 * @param running ids of runs whose processes live
 * @param servers names of the configured MCP servers; unknown when the configuration can't be read
 */
export async function oldLogs(
  instance: Pick<Instance, 'logsDir'>,
  running: ReadonlySet<string>,
  servers: readonly string[] | undefined,
): Promise<CleanupItem[]> {
  const items: CleanupItem[] = [];
  const folders = await readdir(instance.logsDir, { withFileTypes: true }).catch(() => []);
  for (const folder of folders.filter((entry) => entry.isDirectory())) {
    const path = join(instance.logsDir, folder.name);
    const server = /^mcp:(.+)$/.exec(folder.name)?.[1];
    const gone = server !== undefined && servers !== undefined && !servers.includes(server);
    const runs = await runsIn(path);
    for (const [index, run] of runs.entries()) {
      if (running.has(run.id) || (!gone && index < logsKept)) continue;
      const reason = gone ? `${folder.name} is no longer configured` : `the logs of the last ${logsKept} runs are kept`;
      items.push(...run.files.map((each) => file('log', each, reason)));
    }
  }
  return items;
}

/** The runs of a service by their files (`<run>.log`, `<run>.log.1`, …), the newest first. */
async function runsIn(folder: string): Promise<{ id: string; files: string[]; at: number }[]> {
  const byRun = new Map<string, { id: string; files: string[]; at: number }>();
  for (const name of await readdir(folder)) {
    const id = /^([0-9a-f-]{36})\.log(\.|$)/.exec(name)?.[1];
    if (id === undefined) continue;
    const path = join(folder, name);
    const at = (await stat(path)).mtimeMs;
    const run = byRun.get(id) ?? { id, files: [], at };
    byRun.set(id, { id, files: [...run.files, path], at: Math.max(run.at, at) });
  }
  return [...byRun.values()].sort((a, b) => b.at - a.at);
}
