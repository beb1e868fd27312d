import { readdirSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from './identity.ts';
import { partsOf } from './log-rotation.ts';

/** The supervisor's own log; those of services have a folder each. */
export const supervisorLog = 'supervisor';

/** Where a run's output goes. */
export function logFileOf(logsDir: string, service: string, instanceId: string): string {
  return join(logsDir, folderOf(service), `${instanceId}.log`);
}

/** The name of a service as a folder: `mcp:systemprompt` keeps its colon, which every file system of ours takes. */
function folderOf(service: string): string {
  if (!/^[a-z0-9][a-z0-9:._-]*$/i.test(service)) throw new RangeError(`not a service name: ${service}`);
  return service;
}

/** The folder that a service's logs are in. */
export function logFolderOf(logsDir: string, service: string): string {
  return service === supervisorLog ? logsDir : join(logsDir, folderOf(service));
}

/** Where the supervisor's own output goes. */
export function supervisorLogFile(logsDir: string): string {
  return join(logsDir, `${supervisorLog}.log`);
}

/** The services of which there are logs, the supervisor included. */
export function loggedServices(logsDir: string): string[] {
  return entriesOf(logsDir).flatMap((entry) => {
    if (entry.isDirectory()) return [entry.name];
    return entry.name === `${supervisorLog}.log` ? [supervisorLog] : [];
  });
}

/** One run's log. */
export interface LogFile {
  readonly path: string;
  readonly instanceId: string;
}

/** The logs of a service's runs, in no order. */
export function logFilesOf(logsDir: string, service: string): LogFile[] {
  if (service === supervisorLog) return [{ path: supervisorLogFile(logsDir), instanceId: supervisorLog }];
  const folder = logFolderOf(logsDir, service);
  return entriesOf(folder)
    .filter(({ name }) => name.endsWith('.log'))
    .map(({ name }) => ({ path: join(folder, name), instanceId: name.slice(0, -'.log'.length) }));
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Removes the oldest logs of a service with their rotated parts, so that those of `keep` runs remain. */
export async function pruneLogs(logsDir: string, service: string, keep: number): Promise<void> {
  const folder = join(logsDir, folderOf(service));
  const names = (await readdir(folder).catch(ifGone([]))).filter((name) => name.endsWith('.log'));
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      // Another start may prune at the same time, and a rotation has it under another name for a moment.
      const at = await stat(path).then(({ mtimeMs }) => mtimeMs, ifGone(undefined));
      return at === undefined ? [] : [{ path, at }];
    }),
  );
  const newestFirst = files.flat().sort((a, b) => b.at - a.at);
  for (const { path } of newestFirst.slice(keep)) {
    for (const part of [path, ...partsOf(path).map((one) => one.path)]) await rm(part, { force: true });
  }
}

function ifGone<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (hasCode(error, 'ENOENT')) return instead;
    throw error;
  };
}
