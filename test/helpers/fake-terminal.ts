import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';

/** A terminal that remembers what was drawn on it. */
export class FakeTerminal extends Writable {
  readonly isTTY = true;
  columns: number;
  rows: number;
  text = '';
  /** Where the last frame began. */
  #frame = 0;

  constructor(columns: number, rows = 24) {
    super();
    this.columns = columns;
    this.rows = rows;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // A picture begins with the mark of a synchronized update, which ink sets before each.
    if (chunk.includes('\u001B[?2026h')) this.#frame = this.text.length;
    this.text += chunk.toString();
    this.emit('drawn');
    done();
  }

  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.emit('resize');
  }

  /** Waits until something was drawn at any time. */
  async until(expected: string): Promise<string[]> {
    while (!this.lines().join('\n').includes(expected))
      await once(this, 'drawn', { signal: AbortSignal.timeout(10_000) });
    return this.lines();
  }

  /** Waits until the picture that is on the screen is as wanted, and gives it. */
  async frame(wanted: (text: string) => boolean): Promise<string> {
    const frame = (): string => stripVTControlCharacters(this.text.slice(this.#frame));
    while (!wanted(frame())) {
      await once(this, 'drawn', { signal: AbortSignal.timeout(8_000) }).catch(() => {
        throw new Error(`no such picture was drawn; the last was:\n${frame()}`);
      });
    }
    return frame();
  }

  lines(): string[] {
    return stripVTControlCharacters(this.text).split('\n');
  }
}

/** A keyboard whose keys a test presses. */
export class FakeKeyboard extends PassThrough {
  readonly isTTY = true;
  raw = false;

  setRawMode(raw: boolean): this {
    this.raw = raw;
    return this;
  }

  press(...keys: string[]): void {
    for (const key of keys) this.write(key);
  }
}
