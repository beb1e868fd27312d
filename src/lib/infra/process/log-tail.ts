import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { LineRedactor, redactionContext } from '../logging/line-redactor.ts';
import { hasCode } from './identity.ts';
import { type LogPosition, newestPartOf } from './log-cursor.ts';
import { isRotating, partsOf } from './log-rotation.ts';
import { isShortage } from './shortage.ts';

const chunkBytes = 64 * 1024;
/** So much is read from the end backwards at most, in bytes. */
const backLimit = 64 * 1024 * 1024;
const tries = 200;
const pauseMs = 5;
const lineFeed = 10;
/** A line longer than this is given in pieces, in bytes. */
const lineLimit = 1024 * 1024;

/** The end of a log as it stands in the file, secrets included: only for those who redact it. */
export interface RawTail {
  /** Oldest first. */
  readonly lines: readonly string[];
  /** The last line when it has no end yet; not among {@link lines}. */
  readonly unfinished: string | undefined;
  /** Behind the last line that has an end: where a cursor goes on. */
  readonly position: LogPosition;
}

const shownLines = 20;

/** The lines that are shown with a failure, as by {@link tailLines}. */
export function lastWords(file: string): string[] {
  return tailLines(file, shownLines);
}

/**
 * The last lines of a log, its rotated parts included; none when there is no such file, or no descriptor to read it with:
 * they explain, and whoever asks goes on without.
 * @param count how many; what stands before them may matter to the redaction and comes along, at most 250 lines
 */
export function tailLines(file: string, count: number): string[] {
  if (count <= 0) return [];
  let tail: RawTail;
  try {
    tail = readTail(file, () => {
      let seen = 0;
      return () => ++seen >= count + redactionContext;
    });
  } catch (error) {
    if (isShortage(error)) return [];
    throw error;
  }
  const lines = tail.unfinished === undefined ? tail.lines : [...tail.lines, tail.unfinished];
  const redactor = new LineRedactor();
  // Only a key that is printed over several lines needs to be seen from its first line on.
  const from = lines.some((line) => line.includes('PRIVATE KEY-----')) ? lines : lines.slice(-count);
  return from.map((line) => redactor.redact(line)).slice(-count);
}

/** Asked with each line, the newest first: whether this is the last one that is needed. */
export type Enough = (line: string) => boolean;

/**
 * Reads a log from its end backwards, through its rotated parts.
 * @param judge called for each try, since a rotation in the middle spoils one
 */
export function readTail(file: string, judge: () => Enough): RawTail {
  for (let attempt = 1; ; attempt += 1) {
    const newestPart = newestPartOf(file);
    const calm = !isRotating(file);
    if (calm || attempt >= tries) {
      const tail = readBack(file, newestPart, judge());
      if ((!isRotating(file) && newestPartOf(file) === newestPart) || attempt >= tries) return tail;
    }
    // Another process is at it, for a few milliseconds.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
  }
}

function readBack(file: string, newestPart: number | undefined, enough: Enough): RawTail {
  const paths = [file, ...partsOf(file).map(({ path }) => path)];
  const descriptors = paths.map(openOrNothing).filter((descriptor) => descriptor !== undefined);
  try {
    // Looked at once: what is written meanwhile is for the next look.
    const files = descriptors.map((descriptor) => ({ descriptor, size: fstatSync(descriptor).size }));
    const size = files[0]?.size ?? 0;
    const lines: string[] = [];
    let last: Buffer | undefined;
    for (const line of linesBackward(files)) {
      // What stands behind the last line feed comes first.
      if (last === undefined) {
        last = line;
        continue;
      }
      const text = line.toString('utf8');
      lines.push(text);
      if (enough(text)) break;
    }
    const unfinished = last === undefined || last.length === 0 ? undefined : last.toString('utf8');
    return { lines: lines.reverse(), unfinished, position: { offset: size - (last?.length ?? 0), newestPart } };
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}

function openOrNothing(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

interface OpenFile {
  readonly descriptor: number;
  /** Bytes that are looked at. */
  readonly size: number;
}

/** The lines, the newest first; the first of all is what stands behind the last line feed, and may be empty. */
function* linesBackward(files: readonly OpenFile[]): Generator<Buffer, void, undefined> {
  /** The end of a line whose beginning is not read yet. */
  let rest: Buffer = Buffer.alloc(0);
  for (const block of blocksBackward(files)) {
    let all = Buffer.concat([block, rest]);
    for (let at = all.lastIndexOf(lineFeed); at >= 0; at = all.lastIndexOf(lineFeed)) {
      yield all.subarray(at + 1);
      all = all.subarray(0, at);
    }
    rest = all;
    if (rest.length < lineLimit) continue;
    yield rest;
    rest = Buffer.alloc(0);
  }
  if (rest.length > 0) yield rest;
}

function* blocksBackward(files: readonly OpenFile[]): Generator<Buffer, void, undefined> {
  let left = backLimit;
  for (const { descriptor, size } of files) {
    let position = size;
    while (position > 0 && left > 0) {
      const block = Buffer.alloc(Math.min(chunkBytes, position));
      position -= block.length;
      left -= block.length;
      yield block.subarray(0, readSync(descriptor, block, 0, block.length, position));
    }
  }
}
