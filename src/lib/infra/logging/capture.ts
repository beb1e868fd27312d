import { StringDecoder } from 'node:string_decoder';
import { currentCall } from './call-facts.ts';
import type { KnownSecrets } from './known-secrets.ts';
import { LineRedactor } from './line-redactor.ts';
import type { Logger } from './logger.ts';
import { textLimit } from './redact.ts';

/** So much of a line is looked through for secrets at once, and waits for its end, in characters. */
const lineLimit = 256 * 1024;
/** How far from its end a piece may be cut, to cut between two words and not in the middle of a secret, in characters. */
const gapSearch = 4_096;
/** How long the beginning of a line waits for its end, in ms. */
const partialMs = 1_000;

const streams = [
  ['stdout', 'info'],
  ['stderr', 'warn'],
] as const;

/**
 * From now on whatever this process prints through `process.stdout`, `process.stderr` and `console`, and Node's own
 * warnings, become lines of the log, each `{…, stream, msg}`, secrets blanked, with the call in whose course they were printed. What goes past Node's streams does not come
 * by here: a crash of Node itself, native code, a child process that inherited them, and `fs.writeSync(1, …)`.
 *
 * @param logger writes to a descriptor of its own, not through `process.stdout`
 */
export function captureOutput(logger: Logger, secrets?: KnownSecrets): void {
  for (const [stream, level] of streams) {
    const lines = new LineWriter(new LineRedactor(secrets, Number.POSITIVE_INFINITY), (line) =>
      logger[level]({ stream, ...currentCall() }, '%s', line),
    );
    process[stream].write = ((
      chunk: string | Uint8Array,
      encodingOrDone?: BufferEncoding | ((error?: Error | null) => void),
      done?: (error?: Error | null) => void,
    ): boolean => {
      lines.write(chunk, typeof encodingOrDone === 'string' ? encodingOrDone : 'utf8');
      const told = typeof encodingOrDone === 'function' ? encodingOrDone : done;
      if (told !== undefined) process.nextTick(told);
      return true;
    }) as typeof process.stdout.write;
    process.on('exit', () => lines.flush());
  }
  // Node's own listener prints past the streams.
  process.removeAllListeners('warning');
  process.on('warning', (warning) => logger.warn({ err: warning }, warning.message));
}

/** Cuts what is written into lines. */
class LineWriter {
  readonly #redactor: LineRedactor;
  readonly #emit: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(redactor: LineRedactor, emit: (line: string) => void) {
    this.#redactor = redactor;
    this.#emit = emit;
  }

  write(chunk: string | Uint8Array, encoding: BufferEncoding): void {
    clearTimeout(this.#timer);
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(chunk);
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
    if (this.#rest.length > lineLimit) {
      const pieces = piecesOf(this.#rest, lineLimit);
      this.#rest = pieces.pop() ?? '';
      for (const piece of pieces) this.#line(piece);
    }
    if (this.#rest !== '') this.#timer = setTimeout(() => this.flush(), partialMs).unref();
  }

  /** What has no end yet is a line. */
  flush(): void {
    clearTimeout(this.#timer);
    const rest = this.#rest;
    this.#rest = '';
    if (rest !== '') this.#line(rest);
  }

  #line(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    for (const piece of piecesOf(text, lineLimit)) {
      for (const part of piecesOf(this.#redactor.redact(piece), textLimit)) if (part !== '') this.#emit(part);
    }
  }
}

/** A text in pieces of at most so many characters, cut between words where there is a gap near the end of a piece. */
function piecesOf(text: string, limit: number): string[] {
  const pieces: string[] = [];
  let from = 0;
  while (text.length - from > limit) {
    const end = from + limit;
    const tail = text.slice(Math.max(from, end - gapSearch), end);
    const gap = Math.max(...[' ', '\t', ',', ';'].map((mark) => tail.lastIndexOf(mark)));
    // A pair of surrogates is one character.
    const whole = /[\uD800-\uDBFF]$/.test(tail) ? end - 1 : end;
    const to = gap === -1 ? whole : end - tail.length + gap + 1;
    pieces.push(text.slice(from, to));
    from = to;
  }
  pieces.push(text.slice(from));
  return pieces;
}
