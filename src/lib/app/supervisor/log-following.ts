import { type FSWatcher, watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { LineRedactor } from '../../infra/logging/line-redactor.ts';
import { hasCode } from '../../infra/process/identity.ts';
import { LogCursor } from '../../infra/process/log-cursor.ts';
import { logFilesOf, logFolderOf } from '../../infra/process/logs.ts';
import { lineFilter, mergedByTime, toLogLine } from './log-lines.ts';
import { type LogsWanted, merged, readRun, readRuns } from './log-reading.ts';
import type { ServiceLogLine } from './status.ts';

/** For file systems that give no notice, in ms. */
const lookEveryMs = 500;
/** How often a follower that is told to end looks again when it hits upon a rotation, and at what intervals, in ms. */
const lastLooks = 100;
const lastLookEveryMs = 5;

interface Followed {
  readonly cursor: LogCursor;
  /** The lines that are new. */
  read(): ServiceLogLine[];
  /** The line that has no end, if it is wanted. */
  rest(): ServiceLogLine[];
}

/**
 * The last lines of several services, then each line that is added by their present runs and by those to come, until the
 * signal fires. Each line once, also over a rotation; what has come since the last look is merged by time.
 */
export async function* followLogs(
  logsDir: string,
  wanted: LogsWanted,
  signal: AbortSignal,
): AsyncGenerator<ServiceLogLine, void, undefined> {
  const followed = new Map<string, Followed>();
  yield* mergedByTime(wanted.services.flatMap((service) => begin(logsDir, service, wanted, followed)));
  for await (const _ of changes(logsDir, wanted.services, signal)) {
    for (const service of wanted.services) noticeNewRuns(logsDir, service, wanted, followed);
    yield* newLines(followed);
  }
  for (let look = 0; look < lastLooks; look += 1) {
    yield* newLines(followed);
    if (![...followed.values()].some(({ cursor }) => cursor.disturbed)) break;
    await delay(lastLookEveryMs);
  }
  for (const one of followed.values()) yield* one.rest();
}

/** @returns the last lines of a service's runs; from there on they are followed */
function begin(
  logsDir: string,
  service: string,
  wanted: LogsWanted,
  followed: Map<string, Followed>,
): readonly ServiceLogLine[] {
  const runs = readRuns(logsDir, service, wanted);
  const begun = new Map(runs.map((run) => [run.file.path, run]));
  for (const file of logFilesOf(logsDir, service)) {
    // Of an older run nothing is shown, but it may go on: one that is drained while its successor serves already.
    const run = begun.get(file.path) ?? readRun(file, service, { ...wanted, lines: 0 });
    followed.set(file.path, follow(new LogCursor(file.path, run.position), service, file.instanceId, run));
  }
  return wanted.lines > 0 ? merged(runs, false).slice(-wanted.lines) : [];
}

function noticeNewRuns(logsDir: string, service: string, wanted: LogsWanted, followed: Map<string, Followed>): void {
  for (const { path, instanceId } of logFilesOf(logsDir, service)) {
    if (followed.has(path)) continue;
    const fresh = { redactor: new LineRedactor(), passes: lineFilter(wanted) };
    followed.set(path, follow(new LogCursor(path), service, instanceId, fresh));
  }
}

/** Everything that is there now; a megabyte of each file at a time, so that a slow reader holds nobody's memory. */
function* newLines(followed: ReadonlyMap<string, Followed>): Generator<ServiceLogLine, void, undefined> {
  for (;;) {
    const lines = [...followed.values()].flatMap((one) => one.read());
    if (lines.length === 0) return;
    yield* mergedByTime(lines);
  }
}

function follow(
  cursor: LogCursor,
  service: string,
  instanceId: string,
  { redactor, passes }: { redactor: LineRedactor; passes: (line: ServiceLogLine) => boolean },
): Followed {
  const shown = (text: string): ServiceLogLine => toLogLine(service, instanceId, redactor.redact(text));
  return {
    cursor,
    read() {
      const lines: ServiceLogLine[] = [];
      // Lines that do not pass are no sign that there are no more.
      for (let texts = cursor.next(); texts.length > 0; texts = cursor.next()) {
        lines.push(...texts.map(shown).filter(passes));
        if (lines.length > 0) break;
      }
      return lines;
    },
    rest() {
      const text = cursor.rest();
      return text === undefined ? [] : [shown(text)].filter(passes);
    },
  };
}

/** Yields when there may be something new: on the system's notice, and twice a second for file systems that give none. */
async function* changes(
  logsDir: string,
  services: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<void, void, undefined> {
  let wake: () => void = () => {};
  let woken = false;
  const notice = (): void => {
    woken = true;
    wake();
  };
  const tick = setInterval(notice, lookEveryMs);
  signal.addEventListener('abort', notice, { once: true });
  const folders = new Set(services.map((service) => logFolderOf(logsDir, service)));
  const watchers = [...folders].flatMap((folder) => watched(folder, notice));
  try {
    while (!signal.aborted) {
      woken = false;
      yield;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (signal.aborted || woken) resolve();
      });
    }
  } finally {
    clearInterval(tick);
    for (const watcher of watchers) watcher.close();
    signal.removeEventListener('abort', notice);
  }
}

function watched(folder: string, notice: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, notice);
    watcher.on('error', () => watcher.close());
    return [watcher];
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOSPC', 'EMFILE')) throw error;
    return []; // the interval alone will do
  }
}
