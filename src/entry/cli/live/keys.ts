import type { Readable } from 'node:stream';

/** A key that means something to us; a printable character stands for itself. */
export type Key = 'up' | 'down' | 'escape' | 'ctrl-c' | (string & {});

/** A terminal to read single keys from. */
export interface Keyboard extends Readable {
  setRawMode(raw: boolean): unknown;
}

const named: Readonly<Record<string, Key>> = {
  '\u001B[A': 'up',
  '\u001BOA': 'up',
  '\u001B[B': 'down',
  '\u001BOB': 'down',
  '\u001B': 'escape',
  '\u0003': 'ctrl-c',
};
// A whole control sequence (ECMA-48, 5.4; SS3 for the cursor keys of application mode), else one character.
// biome-ignore lint/suspicious/noControlCharactersInRegex: a sequence begins with one
const oneKey = /\u001B(?:\[[0-?]*[ -/]*[@-~]|O[A-Z])|[\s\S]/gu;

/** The keys in what a terminal in raw mode has sent; sequences that mean nothing to us are left out. */
export function keysIn(chunk: string): Key[] {
  return [...chunk.matchAll(oneKey)].flatMap(([text]) => {
    const key = named[text];
    if (key !== undefined) return [key];
    return text.length <= 2 && text >= ' ' ? [text] : [];
  });
}

/** Reads keys until it is disposed of; then the terminal is as it was. */
export class Keys implements Disposable {
  readonly #keyboard: Keyboard;
  readonly #onData: (chunk: string) => void;

  constructor(keyboard: Keyboard, onKey: (key: Key) => void) {
    this.#keyboard = keyboard;
    this.#onData = (chunk) => keysIn(String(chunk)).forEach(onKey);
    keyboard.setRawMode(true);
    keyboard.setEncoding('utf8').on('data', this.#onData);
  }

  [Symbol.dispose](): void {
    this.#keyboard.off('data', this.#onData);
    this.#keyboard.setRawMode(false);
    this.#keyboard.pause();
  }
}
