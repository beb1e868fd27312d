import { StringDecoder } from 'node:string_decoder';
import type { KnownSecrets } from '../../infra/logging/known-secrets.ts';
import { LineRedactor } from '../../infra/logging/line-redactor.ts';

const lineLimit = 4_096;
const tailLines = 40;
const tailLength = 4_096;

/** The standard error of a program: each line, without secrets, for the log, and the last ones for whoever asks why it ended. */
export class StderrTail {
  readonly #redactor: LineRedactor;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  #lines: string[] = [];

  constructor(secrets: KnownSecrets | undefined, onLine: (line: string) => void) {
    this.#redactor = new LineRedactor(secrets, lineLimit);
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
    // A line without an end must not grow for ever.
    while (this.#rest.length > lineLimit) {
      this.#line(this.#rest.slice(0, lineLimit));
      this.#rest = this.#rest.slice(lineLimit);
    }
  }

  /** What has no end yet is a line. */
  end(): void {
    this.#line(this.#rest);
    this.#rest = '';
  }

  /** The last lines, at most 40 and 4,096 characters. */
  text(): string {
    return this.#lines.join('\n').slice(-tailLength);
  }

  #line(text: string): void {
    const line = this.#redactor.redact(text.replace(/\r$/, ''));
    if (line === '') return;
    this.#lines.push(line);
    if (this.#lines.length > tailLines) this.#lines = this.#lines.slice(-tailLines);
    this.#onLine(line);
  }
}
