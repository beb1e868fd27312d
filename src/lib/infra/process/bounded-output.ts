import type { Readable } from 'node:stream';

/** The head of a stream's bytes; the rest is read, so that the writer never blocks, counted and dropped. */
export class BoundedOutput {
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  #total = 0;

  /** @param limit bytes to keep */
  constructor(stream: Readable, limit: number) {
    this.#limit = limit;
    stream.on('data', (chunk: Buffer) => this.#add(chunk));
    // The other end of a pipe that is torn down on purpose; what was read up to then counts.
    stream.on('error', () => {});
  }

  get truncated(): boolean {
    return this.#total > this.#limit;
  }

  /** Bytes seen in all. */
  get total(): number {
    return this.#total;
  }

  /** The head as text; a character that the limit cut in two is left out. */
  text(): string {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    // With `stream` an incomplete sequence at the end is held back instead of replaced.
    return decoder.decode(Buffer.concat(this.#chunks), { stream: this.truncated });
  }

  #add(chunk: Buffer): void {
    this.#total += chunk.length;
    const room = this.#limit - this.#kept;
    if (room <= 0) return;
    const part = chunk.length > room ? chunk.subarray(0, room) : chunk;
    this.#chunks.push(part);
    this.#kept += part.length;
  }
}
