import { tellsOfTasks } from './verdict.ts';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/**
 * Splits a stream of server-sent events (WHATWG HTML §9.2) into events, keeping their bytes as they came, wherever the
 * chunks are cut. An event ends with an empty line; lines end with LF, CR or CRLF. When a chunk ends between CR and LF,
 * that LF comes as the first byte of the next event, where it means nothing.
 */
export class SseSplitter {
  readonly #limit: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #lineIsEmpty = true;
  #afterCarriageReturn = false;

  /** @param limit most bytes that one event may have */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * The events that this chunk completes, each with its closing empty line.
   * @throws RangeError when an event grows past the limit
   */
  push(chunk: Buffer): Buffer[] {
    const events: Buffer[] = [];
    const lineEnds = new LineEnds(chunk);
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const end = lineEnds.from(at);
      if (end !== at) {
        this.#lineIsEmpty = false;
        this.#afterCarriageReturn = false;
        if (end === undefined) break;
        at = end;
      }
      const byte = chunk[at];
      if (byte === lineFeed && this.#afterCarriageReturn) {
        this.#afterCarriageReturn = false;
        continue;
      }
      this.#afterCarriageReturn = byte === carriageReturn;
      if (!this.#lineIsEmpty) {
        this.#lineIsEmpty = true;
      } else {
        if (byte === carriageReturn && chunk[at + 1] === lineFeed) {
          at += 1;
          this.#afterCarriageReturn = false;
        }
        events.push(this.#take(chunk.subarray(start, at + 1)));
        start = at + 1;
      }
    }
    if (start < chunk.length) {
      this.#check(chunk.length - start);
      this.#pending.push(chunk.subarray(start));
      this.#pendingBytes += chunk.length - start;
    }
    return events;
  }

  #take(end: Buffer): Buffer {
    this.#check(end.length);
    if (this.#pending.length === 0) return end;
    const event = Buffer.concat([...this.#pending, end]);
    this.#pending = [];
    this.#pendingBytes = 0;
    return event;
  }

  #check(more: number): void {
    if (this.#pendingBytes + more > this.#limit) throw new RangeError('An event is larger than the limit.');
  }
}

/** Bytes that are looked at one by one; beyond them a search of the whole rest is faster. */
const nearby = 128;

/** Finds the ends of lines in one chunk, from its beginning to its end. */
class LineEnds {
  readonly #chunk: Buffer;
  /** The first of each that is not behind; the chunk's length when there is none. */
  #lineFeed = -1;
  #carriageReturn = -1;

  constructor(chunk: Buffer) {
    this.#chunk = chunk;
  }

  /** Where the line ends that stands there. @returns undefined when its end is not in this chunk */
  from(at: number): number | undefined {
    const chunk = this.#chunk;
    const near = Math.min(chunk.length, at + nearby);
    for (let close = at; close < near; close += 1) {
      const byte = chunk[close];
      if (byte === lineFeed || byte === carriageReturn) return close;
    }
    if (this.#lineFeed < near) this.#lineFeed = this.#next(lineFeed, near);
    if (this.#carriageReturn < near) this.#carriageReturn = this.#next(carriageReturn, near);
    const end = Math.min(this.#lineFeed, this.#carriageReturn);
    return end === chunk.length ? undefined : end;
  }

  #next(byte: number, from: number): number {
    const found = this.#chunk.indexOf(byte, from);
    return found === -1 ? this.#chunk.length : found;
  }
}

/** The `data` of one event, its lines joined by LF; empty when it has none (a comment, a priming event). */
export function eventData(event: Buffer): string {
  const decoded = event.toString('utf8');
  // §9.2.5: a stream may begin with a byte order mark, which clients leave out.
  const text = decoded.startsWith('\ufeff') ? decoded.slice(1) : decoded;
  // The usual event: `event: message`, one line of data, and no CR.
  const lines = text.includes('\r') ? text.split(/\r\n|\n|\r/) : text.split('\n');
  let data: string | undefined;
  for (const line of lines) {
    if (!line.startsWith('data')) continue;
    const rest = line.slice(4);
    if (rest !== '' && !rest.startsWith(':')) continue;
    const value = rest.startsWith(': ') ? rest.slice(2) : rest.slice(1);
    data = data === undefined ? value : `${data}\n${value}`;
  }
  return data ?? '';
}

/** One JSON-RPC message as an event. JSON text has no line breaks, so one line of data is enough. */
export function messageEvent(json: string): string {
  return `event: message\ndata: ${json}\n\n`;
}

/** Whether an event of a server's own stream passes: anything but a JSON-RPC response, and word of tasks, which is asked for. */
export function isForListeners(event: Buffer): boolean {
  const data = eventData(event);
  if (data === '') return true;
  let message: unknown;
  try {
    message = JSON.parse(data);
  } catch {
    return false;
  }
  if (typeof message !== 'object' || message === null || !('method' in message) || 'result' in message) return false;
  return !tellsOfTasks(String(message.method));
}
