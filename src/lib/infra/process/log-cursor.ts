import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { hasCode } from './identity.ts';
import { isRotating, partsOf } from './log-rotation.ts';

const chunkBytes = 1024 * 1024;
/** A line longer than this is given in pieces, in bytes. */
const lineLimit = 256 * 1024;
const lineFeed = 10;

/** Where somebody stands in a file that is rotated while it is read. */
export interface LogPosition {
  /** Bytes of the file that was the current one when {@link newestPart} was the newest part. */
  readonly offset: number;
  /** What names the part that was the newest then; none was there when absent. */
  readonly newestPart: number | undefined;
}

/** The name of the newest part, which is another one after each rotation. */
export function newestPartOf(file: string): number | undefined {
  const [newest] = partsOf(file);
  return newest === undefined ? undefined : inodeOf(newest.path);
}

/**
 * Reads whole lines on from a position, through rotations: each line once, in order. Lost is only what was rotated away
 * altogether between two looks (`maxFiles` times the size of a file).
 */
export class LogCursor {
  readonly file: string;
  #position: LogPosition;
  /** The beginning of a line whose end is not there yet. */
  #rest: Buffer = Buffer.alloc(0);

  /** Whether the last look was in vain because the file was rotated in that moment. */
  disturbed = false;
  /** How the file was before a look that found nothing. */
  #idle: string | undefined;

  constructor(file: string, position: LogPosition = { offset: 0, newestPart: undefined }) {
    this.file = file;
    this.#position = position;
  }

  /** The lines that have come since, at most a megabyte at a time; none when there are no more for now. */
  next(): string[] {
    const state = stateOf(this.file);
    this.disturbed = false;
    // By far the most looks end here.
    if (state !== undefined && state === this.#idle) return [];
    this.#idle = undefined;
    for (;;) {
      const step = this.#step();
      this.disturbed = step === 'disturbed';
      if (step === 'disturbed') return [];
      if (step === 'nothing') {
        this.#idle = state;
        return [];
      }
      const lines = this.#cut(step);
      if (lines.length > 0) return lines;
    }
  }

  /** The line without an end that is last in the file. */
  rest(): string | undefined {
    return this.#rest.length === 0 ? undefined : this.#rest.toString('utf8');
  }

  #step(): Buffer | 'nothing' | 'disturbed' {
    const parts = calmParts(this.file);
    if (parts === undefined) return 'disturbed';
    if (!parts.some(({ inode }) => inode === this.#position.newestPart)) this.#forgetPart();
    const { offset, newestPart } = this.#position;
    const known = newestPart === undefined ? parts.length : parts.findIndex(({ inode }) => inode === newestPart);
    // The oldest of the parts that came since.
    const part = parts[known - 1];
    if (part !== undefined) {
      const bytes = readAt(part.path, offset, part.inode);
      if (bytes === undefined) return 'disturbed'; // it moved on in this moment
      this.#position =
        bytes.length > 0 ? { offset: offset + bytes.length, newestPart } : { offset: 0, newestPart: part.inode };
      // An empty read is the step into the next file, not the end.
      return bytes;
    }
    const size = statSync(this.file, { throwIfNoEntry: false })?.size ?? 0;
    // Somebody else has emptied it.
    const from = size < offset ? 0 : offset;
    const bytes = readAt(this.file, from);
    if (isRotating(this.file) || newestPartOf(this.file) !== parts[0]?.inode) return 'disturbed';
    if (bytes === undefined || bytes.length === 0) return 'nothing';
    this.#position = { offset: from + bytes.length, newestPart };
    return bytes;
  }

  /** The part that we knew is gone, and with it what we had not read of it: on with the oldest that there is. */
  #forgetPart(): void {
    if (this.#position.newestPart === undefined) return;
    this.#position = { offset: 0, newestPart: undefined };
    this.#rest = Buffer.alloc(0);
  }

  #cut(bytes: Buffer): string[] {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const end = all.lastIndexOf(lineFeed) + 1;
    this.#rest = all.subarray(end);
    const lines =
      end === 0
        ? []
        : all
            .subarray(0, end - 1)
            .toString('utf8')
            .split('\n');
    if (this.#rest.length > lineLimit) {
      lines.push(this.#rest.toString('utf8'));
      this.#rest = Buffer.alloc(0);
    }
    return lines;
  }
}

/** The parts, the youngest first; `undefined` while they are moved, when the same lines stand in two places. */
function calmParts(file: string): readonly { readonly path: string; readonly inode: number | undefined }[] | undefined {
  const newest = newestPartOf(file);
  if (isRotating(file)) return undefined;
  const parts = partsOf(file).map(({ path }) => ({ path, inode: inodeOf(path) }));
  if (isRotating(file) || newestPartOf(file) !== newest || parts[0]?.inode !== newest) return undefined;
  return parts.some(({ inode }) => inode === undefined) ? undefined : parts;
}

/** Another one after every write and every rotation. */
function stateOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.ino} ${stats.size} ${stats.ctimeMs}`;
}

/** Names a file that may be renamed meanwhile. */
function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

/** @param inode which file is meant; `undefined` is given when another one has the name */
function readAt(path: string, offset: number, inode?: number): Buffer | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    const stats = fstatSync(descriptor);
    if (inode !== undefined && stats.ino !== inode) return undefined;
    const bytes = Buffer.alloc(Math.max(0, Math.min(stats.size - offset, chunkBytes)));
    return bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, offset));
  } finally {
    closeSync(descriptor);
  }
}
