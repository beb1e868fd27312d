import { lstatSync, readdirSync, type Stats, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { tenantsFolder } from '../../infra/config/active-profile.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { shellQuote } from '../../infra/config/permissions.ts';
import { readPostgresState } from '../../infra/process/postgres-state.ts';
import { formatBytes } from '../../shared/text/cells.ts';
import type { CommandContext } from '../command-context.ts';
import type { Finding } from './finding.ts';

const named = 5;

/** Whether everything private of the instance is its owner's alone: keys and secrets, folders, logs, sockets. */
export async function checkPermissions(context: CommandContext): Promise<Finding> {
  const instance = await context.instance();
  const paths = [...privatePaths(instance), ...runtimePaths(instance)];
  const foreign = paths.filter(({ stats }) => process.getuid !== undefined && stats.uid !== process.getuid());
  if (foreign.length > 0) {
    const quoted = foreign.slice(0, named).map(({ path }) => shellQuote(path));
    return {
      state: 'fail',
      detail: `not yours: ${summary(foreign.map(({ path }) => path))}`,
      shell: `sudo chown ${process.getuid?.()} ${quoted.join(' ')}`,
    };
  }
  const open = paths.filter(({ stats }) => (stats.mode & 0o077) !== 0);
  if (open.length > 0) {
    const quoted = open.slice(0, named).map(({ path }) => shellQuote(path));
    return {
      state: 'fail',
      detail: `open to other users: ${summary(open.map(({ path }) => path))}`,
      shell: `chmod go= ${quoted.join(' ')}`,
    };
  }
  return { state: 'ok', detail: `${paths.length} files and folders are yours alone` };
}

interface Seen {
  readonly path: string;
  readonly stats: Stats;
}

/**
 * All of `.systemprompt/` but other tenants' state, and the databases' own files, on whose rights PostgreSQL insists by itself.
 */
function privatePaths(instance: Instance): Seen[] {
  const { projectDir, dir } = instance;
  const closed = new Set([join(projectDir, tenantsFolder), join(projectDir, 'data'), instance.dataDir]);
  const found: Seen[] = [];
  const visit = (path: string): void => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined || stats.isSymbolicLink()) return;
    found.push({ path, stats });
    if (!stats.isDirectory() || closed.has(path)) return;
    for (const name of readdirSync(path)) visit(join(path, name));
  };
  visit(projectDir);
  if (dir !== projectDir) visit(dir);
  return found;
}

function runtimePaths({ runtimeDir, controlSocket }: Instance): Seen[] {
  return [runtimeDir, controlSocket].flatMap((path) => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return stats === undefined ? [] : [{ path, stats }];
  });
}

function summary(paths: readonly string[]): string {
  const more = paths.length > named ? ` and ${paths.length - named} more` : '';
  return `${paths.slice(0, named).join(', ')}${more}`;
}

/** Below the first a write may fail at any moment, below the second it is time to look. */
const bytesFree = { fail: 100 * 1024 * 1024, warn: 1024 * 1024 * 1024 };
const inodesFree = { fail: 1_000, warn: 10_000 };

/** Free space and inodes where state, logs and the database's data are. */
export async function checkDisk(context: CommandContext): Promise<Finding> {
  const instance = await context.instance();
  const postgres = await readPostgresState(instance);
  const folders = [instance.dir, instance.logsDir, instance.runDir, postgres?.dataDir ?? instance.dataDir];
  const seen = new Set<number>();
  const findings: Finding[] = [];
  for (const folder of folders) {
    const stats = statSync(folder, { throwIfNoEntry: false });
    if (stats === undefined || seen.has(stats.dev)) continue;
    seen.add(stats.dev);
    findings.push(await diskOf(folder));
  }
  const worst = (['fail', 'warn', 'ok'] as const).find((state) => findings.some((finding) => finding.state === state));
  const shown = findings.filter(({ state }) => state === worst);
  const shell = shown.find((finding) => finding.shell !== undefined)?.shell;
  return {
    state: worst ?? 'ok',
    detail: shown.map(({ detail }) => detail).join('; '),
    ...(shell === undefined ? {} : { shell }),
  };
}

async function diskOf(folder: string): Promise<Finding> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  const bytes = bavail * bsize;
  // Some file systems make inodes as they need them, and count none.
  const inodes = files === 0 ? Number.POSITIVE_INFINITY : ffree;
  const level = (free: number, limit: { fail: number; warn: number }): Finding['state'] =>
    free < limit.fail ? 'fail' : free < limit.warn ? 'warn' : 'ok';
  const space = level(bytes, bytesFree);
  const entries = level(inodes, inodesFree);
  const state = space === 'ok' ? entries : entries === 'fail' ? 'fail' : space;
  const counted = Number.isFinite(inodes) ? `, ${inodes} inodes` : '';
  const detail = `${formatBytes(bytes)}${counted} free for ${folder}`;
  if (state === 'ok') return { state, detail };
  const what = space === 'ok' ? '--inodes ' : '';
  return { state, detail: `only ${detail}`, shell: `du ${what}-xd1 ${shellQuote(folder)} | sort -n` };
}
