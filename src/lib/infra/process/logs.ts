import { closeSync, fstatSync, openSync, readSync, watch } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { redactLogText } from '../logging/redact.ts';
import { hasCode } from './identity.ts';

const chunkBytes = 64 * 1024;
/** A line longer than this is given in pieces. */
const lineLimit = 256 * 1024;

/** Where a run's output goes. */
export function logFileOf(logsDir: string, service: string, instanceId: string): string {
  return join(logsDir, folderOf(service), `${instanceId}.log`);
}

/** The name of a service as a folder: `mcp:systemprompt` keeps its colon, which every file system of ours takes. */
function folderOf(service: string): string {
  if (!/^[a-z0-9][a-z0-9:._-]*$/i.test(service)) throw new RangeError(`not a service name: ${service}`);
  return service;
}

/**
 * The last lines of a file, oldest first; none when there is no such file. Reads from the end, at most 4 MB. What looks
 * like a secret is blanked: a program prints what it likes, and these lines go to terminals, clients, errors and tables.
 */
export function tailLines(file: string, count: number): string[] {
  return tailWithEnd(file, count).lines.map(redactLogText);
}

function tailWithEnd(file: string, count: number): { lines: string[]; end: number } {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { lines: [], end: 0 };
    throw error;
  }
  try {
    const end = fstatSync(descriptor).size;
    let position = end;
    let bytes = Buffer.alloc(0);
    while (position > 0 && end - position < 64 * chunkBytes && newlines(bytes) <= count) {
      const length = Math.min(chunkBytes, position);
      const chunk = Buffer.alloc(length);
      position -= length;
      readSync(descriptor, chunk, 0, length, position);
      bytes = Buffer.concat([chunk, bytes]);
    }
    const lines = bytes.toString('utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    return { lines: count > 0 ? lines.slice(-count) : [], end };
  } finally {
    closeSync(descriptor);
  }
}

function newlines(bytes: Buffer): number {
  let count = 0;
  for (const byte of bytes) if (byte === 10) count += 1;
  return count;
}

/**
 * The last `count` lines of a file, then each line that is added, until the signal fires, secrets blanked as by
 * {@link tailLines}. A missing file is waited for.
 */
export async function* followLines(
  file: string,
  count: number,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const { lines, end } = tailWithEnd(file, count);
  yield* lines.map(redactLogText);
  let position = end;
  for await (const _ of changesOf(file, signal)) {
    const read = readFrom(file, position);
    position = read.position;
    yield* read.lines.map(redactLogText);
  }
  const last = readFrom(file, position);
  if (last.rest !== '') yield redactLogText(last.rest);
}

/** Yields when the file may have grown: on the system's notice, and twice a second for file systems that give none. */
async function* changesOf(file: string, signal: AbortSignal): AsyncGenerator<void, void, undefined> {
  let wake: () => void = () => {};
  const tick = setInterval(() => wake(), 500);
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort, { once: true });
  let watcher: ReturnType<typeof watch> | undefined;
  try {
    watcher = watch(file, () => wake());
    watcher.on('error', () => watcher?.close());
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOSPC', 'EMFILE')) throw error; // the interval alone will do
  }
  try {
    while (!signal.aborted) {
      yield;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (signal.aborted) resolve();
      });
    }
    yield; // what came between the last look and the end
  } finally {
    clearInterval(tick);
    watcher?.close();
    signal.removeEventListener('abort', onAbort);
  }
}

/** The whole lines after `from`; what follows the last line feed is read again next time. */
function readFrom(file: string, from: number): { lines: string[]; rest: string; position: number } {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { lines: [], rest: '', position: 0 };
    throw error;
  }
  try {
    const { size } = fstatSync(descriptor);
    // Shorter than before: it was truncated.
    const start = size < from ? 0 : from;
    const bytes = Buffer.alloc(Math.min(size - start, 64 * chunkBytes));
    const read = bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, start));
    const end = read.lastIndexOf(10) + 1;
    if (end === 0 && read.length > lineLimit) {
      return { lines: [read.toString('utf8')], rest: '', position: start + read.length };
    }
    const lines =
      end === 0
        ? []
        : read
            .subarray(0, end - 1)
            .toString('utf8')
            .split('\n');
    return { lines, rest: read.subarray(end).toString('utf8'), position: start + end };
  } finally {
    closeSync(descriptor);
  }
}

/** Removes the oldest logs of a service, so that `keep` remain. */
export async function pruneLogs(logsDir: string, service: string, keep: number): Promise<void> {
  const folder = join(logsDir, folderOf(service));
  const names = (await readdir(folder)).filter((name) => name.endsWith('.log'));
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      return { path, at: (await stat(path)).mtimeMs };
    }),
  );
  files.sort((a, b) => b.at - a.at);
  for (const { path } of files.slice(keep)) await rm(path, { force: true });
}
