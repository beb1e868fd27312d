/** What is left of a line that is longer than allowed: enough to find out whose it was. */
export interface LongLine {
  readonly head: string;
  /** Empty while the line has not ended. */
  readonly tail: string;
}

export interface LineListener {
  /** A line without its end; empty lines are left out. */
  onLine(line: string): void;
  /** When a line has grown past the limit, and again at its end. */
  onLongLine(line: LongLine): void;
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
/** Bytes of a line that is too long which are kept of its beginning and of its end. */
const keptBytes = 256;

/**
 * Splits the output of a program into lines (MCP, stdio: messages are delimited by newlines and must not contain any).
 * Memory stays below the limit whatever comes: of a longer line only its two ends are kept.
 */
export class LineSplitter {
  readonly #limit: number;
  readonly #listener: LineListener;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Set while the rest of a line that was too long is dropped. */
  #long: { readonly head: string; tail: Buffer } | undefined;

  /** @param limit most bytes that a line may have */
  constructor(limit: number, listener: LineListener) {
    this.#limit = limit;
    this.#listener = listener;
  }

  push(chunk: Buffer): void {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(lineFeed, start);
      if (end === -1) break;
      this.#end(chunk, start, end);
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(start === 0 ? chunk : chunk.subarray(start));
  }

  #end(chunk: Buffer, start: number, end: number): void {
    if (this.#long !== undefined || this.#pendingBytes + end - start > this.#limit) {
      this.#keep(chunk.subarray(start, end));
      const { head, tail } = this.#long as { readonly head: string; tail: Buffer };
      this.#long = undefined;
      this.#listener.onLongLine({ head, tail: tail.toString('utf8') });
      return;
    }
    if (this.#pendingBytes === 0) {
      this.#line(chunk, start, end);
      return;
    }
    this.#pending.push(chunk.subarray(start, end));
    const line = Buffer.concat(this.#pending);
    this.#drop();
    this.#line(line, 0, line.length);
  }

  #line(bytes: Buffer, start: number, end: number): void {
    const last = bytes[end - 1] === carriageReturn ? end - 1 : end;
    if (last > start) this.#listener.onLine(bytes.toString('utf8', start, last));
  }

  #keep(part: Buffer): void {
    if (this.#long !== undefined) {
      this.#long.tail = endOf(this.#long.tail, part);
      return;
    }
    this.#pending.push(part);
    this.#pendingBytes += part.length;
    if (this.#pendingBytes <= this.#limit) return;
    const head = Buffer.concat(this.#pending.map((piece) => piece.subarray(0, keptBytes))).subarray(0, keptBytes);
    this.#long = { head: head.toString('utf8'), tail: this.#pending.reduce(endOf, Buffer.alloc(0)) };
    this.#drop();
    this.#listener.onLongLine({ head: this.#long.head, tail: '' });
  }

  #drop(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

/** A copy, so that the chunk it was cut from is not held. */
function endOf(before: Buffer, part: Buffer): Buffer {
  const joined = part.length >= keptBytes ? part : Buffer.concat([before, part]);
  return Buffer.from(joined.subarray(Math.max(0, joined.length - keptBytes)));
}
