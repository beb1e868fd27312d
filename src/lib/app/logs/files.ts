import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { LineRedactor } from '../../infra/logging/line-redactor.ts';
import { hasCode } from '../../infra/process/identity.ts';
import { LogCursor } from '../../infra/process/log-cursor.ts';
import { partsOf } from '../../infra/process/log-rotation.ts';
import { type LogFile, logFilesOf } from '../../infra/process/logs.ts';
import { logRecord } from '../../shared/text/log-line.ts';
import { type LogEntry, lineEntry } from './entries.ts';

/** As much of a file is read to learn when it begins, in bytes. */
const headBytes = 16 * 1024;

interface Run {
  readonly service: string;
  readonly file: LogFile;
  /** When it begins, ISO 8601; empty when its first lines have no time. */
  readonly begins: string;
}

/**
 * The lines of all runs of some services in the order of their times, secrets blanked. Runs are opened when their time
 * has come and read a megabyte at a time, so that what is held in memory does not grow with the logs.
 *
 * @param since runs that were last written before it are left out; ISO 8601
 */
export function* fileEntries(
  logsDir: string,
  services: readonly string[],
  since?: string,
): Generator<LogEntry, void, undefined> {
  const from = since === undefined ? 0 : Date.parse(since);
  const waiting = services
    .flatMap((service) => logFilesOf(logsDir, service).flatMap((file) => runOf(service, file, from)))
    .sort((a, b) => (a.begins < b.begins ? -1 : 1));
  const open: { entry: LogEntry; rest: Iterator<LogEntry> }[] = [];
  const take = (rest: Iterator<LogEntry>): void => {
    const step = rest.next();
    if (step.done !== true) insert(open, { entry: step.value, rest });
  };
  while (open.length > 0 || waiting.length > 0) {
    const [next] = waiting;
    const [first] = open;
    if (next !== undefined && (first === undefined || next.begins <= first.entry.at)) {
      waiting.shift();
      take(runEntries(next));
    } else if (first !== undefined) {
      open.shift();
      yield first.entry;
      take(first.rest);
    }
  }
}

/** Keeps the list sorted; what has the same time stays behind what was there before. */
function insert<T extends { readonly entry: LogEntry }>(sorted: T[], one: T): void {
  let at = sorted.length;
  while (at > 0 && (sorted[at - 1]?.entry.at ?? '') > one.entry.at) at -= 1;
  sorted.splice(at, 0, one);
}

function* runEntries({ service, file }: Run): Generator<LogEntry, void, undefined> {
  const cursor = new LogCursor(file.path);
  const redactor = new LineRedactor();
  let before: LogEntry | undefined;
  for (let lines = cursor.next(); lines.length > 0; lines = cursor.next()) {
    for (const line of lines) {
      if (line === '') continue;
      const entry = lineEntry({ service, line: redactor.redact(line) }, before);
      // A clock that was set back must not stop the merge: the order within a file is what counts.
      before = before !== undefined && entry.at < before.at ? { ...entry, at: before.at } : entry;
      yield before;
    }
  }
  const rest = cursor.rest();
  if (rest !== undefined) yield lineEntry({ service, line: redactor.redact(rest) }, before);
}

function runOf(service: string, file: LogFile, from: number): Run[] {
  const written = statSync(file.path, { throwIfNoEntry: false });
  if (written === undefined || written.mtimeMs < from) return [];
  const oldest = partsOf(file.path).at(-1)?.path ?? file.path;
  return [{ service, file, begins: beginningOf(oldest) }];
}

function beginningOf(path: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  }
  try {
    const head = Buffer.alloc(headBytes);
    const text = head.subarray(0, readSync(descriptor, head, 0, head.length, 0)).toString('utf8');
    for (const line of text.split('\n')) {
      const { time } = logRecord(line);
      if (time !== undefined) return time;
    }
    return '';
  } finally {
    closeSync(descriptor);
  }
}
