import { StringDecoder } from 'node:string_decoder';
import type { KnownSecrets } from './known-secrets.ts';
import { LineRedactor } from './line-redactor.ts';
import type { Logger } from './logger.ts';

/** A line longer than this is written in pieces, in characters. */
const lineLimit = 256 * 1024;
/** How long the beginning of a line waits for its end, in ms. */
const partialMs = 1_000;

const streams = [
  ['stdout', 'info'],
  ['stderr', 'warn'],
] as const;

/**
 * From now on whatever this process prints through `process.stdout`, `process.stderr` and `console`, and Node's own
 * warnings, become lines of the log, each `{…, stream, msg}`, secrets blanked. What goes past Node's streams does not come
 * by here: a crash of Node itself, native code, a child process that inherited them, and `fs.writeSync(1, …)`.
 *
 * @param logger writes to a descriptor of its own, not through `process.stdout`
 */
export function captureOutput(logger: Logger, secrets?: KnownSecrets): void {
  for (const [stream, level] of streams) {
    const lines = new LineWriter(new LineRedactor(secrets), (line) => logger[level]({ stream }, '%s', line));
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
    if (this.#rest.length >= lineLimit) this.flush();
    else if (this.#rest !== '') this.#timer = setTimeout(() => this.flush(), partialMs).unref();
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
    if (text !== '') this.#emit(this.#redactor.redact(text));
  }
}
