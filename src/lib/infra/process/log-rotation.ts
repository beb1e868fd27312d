import {
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasCode } from './identity.ts';

/** How much of one run's output is kept. */
export interface LogLimits {
  /** Bytes from which on a file is rotated. */
  readonly maxBytes: number;
  /** Files of one run: the one that is written to, and the parts before it. At least 2. */
  readonly maxFiles: number;
}

export const defaultLogLimits: LogLimits = { maxBytes: 10 * 1024 * 1024, maxFiles: 5 };

/** The profile's `logging`, as limits. */
export function logLimits(logging: { readonly max_file_mb: number; readonly max_files: number }): LogLimits {
  return { maxBytes: logging.max_file_mb * 1024 * 1024, maxFiles: logging.max_files };
}

const catchUpBytes = 64 * 1024;
/** A rotation takes milliseconds; what is left of one that was killed in the middle is cleared away after this time. */
const abandonedMs = 10_000;

/** The part that was written `age` rotations ago; 0 is the file itself. */
export function partOf(file: string, age: number): string {
  return age === 0 ? file : `${file}.${age}`;
}

/** Exists while a rotation is under way, from before the first change to after the last. */
export function rotatingMark(file: string): string {
  return `${file}.rotating`;
}

/** Whether somebody is rotating the file at this moment. */
export function isRotating(file: string): boolean {
  const mark = statSync(rotatingMark(file), { throwIfNoEntry: false });
  return mark !== undefined && Date.now() - mark.mtimeMs < abandonedMs;
}

/**
 * Makes what was written so far the part `.1`, and the file empty, when it has reached its size. The file stays the same
 * one, so that whoever has it open for appending goes on writing to it: the process itself, what it started, and Node as
 * it crashes. Nothing that is written by the calling thread can be lost. What another process writes in the moment between
 * the last look at the end and the truncation is: two system calls, measured in docs/supervisor.md.
 *
 * @returns whether it was rotated; false as well when another process is at it
 * @throws the operating system's error, e.g. ENOSPC; the file is as it was then
 */
export function rotateLog(file: string, { maxBytes, maxFiles }: LogLimits): boolean {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size < maxBytes) return false;
  const mark = rotatingMark(file);
  if (!take(file, mark)) return false;
  let emptied = false;
  try {
    // The oldest goes first: on a full disk its space is what the copy needs.
    for (const { path, age } of partsOf(file)) if (age >= maxFiles - 1) rmSync(path, { force: true });
    copyFileSync(file, mark);
    const source = openSync(file, 'r+');
    const copy = openSync(mark, 'a', 0o600);
    try {
      catchUp(source, copy);
      shift(file);
      catchUp(source, copy);
      ftruncateSync(source, 0);
      emptied = true;
    } finally {
      closeSync(source);
      closeSync(copy);
    }
    renameSync(mark, partOf(file, 1));
    return true;
  } catch (error) {
    // Once the file is empty the copy is all there is; a later look makes it the part that it was to become.
    if (!emptied) rmSync(mark, { force: true });
    throw error;
  }
}

/** The rotated parts of a file, the youngest first. */
export function partsOf(file: string): { readonly path: string; readonly age: number }[] {
  const folder = dirname(file);
  const prefix = `${basename(file)}.`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
  return names
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,3}$/.test(name.slice(prefix.length)))
    .map((name) => ({ path: join(folder, name), age: Number(name.slice(prefix.length)) }))
    .sort((a, b) => a.age - b.age);
}

/** The mark is the lock: who creates it rotates. */
function take(file: string, mark: string): boolean {
  try {
    closeSync(openSync(mark, 'wx', 0o600));
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    clearAbandoned(file, mark);
    return false;
  }
}

/** What is left of a rotation whose process was killed in the middle. */
function clearAbandoned(file: string, mark: string): void {
  const left = statSync(mark, { throwIfNoEntry: false });
  if (left === undefined || Date.now() - left.mtimeMs < abandonedMs) return;
  const truncated = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) < left.size;
  if (!truncated) {
    rmSync(mark, { force: true }); // the copy of what is still there
    return;
  }
  shift(file);
  renameSync(mark, partOf(file, 1));
}

function shift(file: string): void {
  for (const { path, age } of partsOf(file).toReversed()) renameSync(path, partOf(file, age + 1));
}

function catchUp(source: number, copy: number): void {
  const buffer = Buffer.allocUnsafe(catchUpBytes);
  for (let position = fstatSync(copy).size; ; ) {
    const read = readSync(source, buffer, 0, buffer.length, position);
    if (read === 0) return;
    let written = 0;
    while (written < read) written += writeSync(copy, buffer, written, read - written);
    position += read;
  }
}
