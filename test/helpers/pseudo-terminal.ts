import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { cliEnvironment, runScript } from './cli.ts';
import { until } from './until.ts';

/** A command line of the built CLI in a real pseudo-terminal, as a person has it. */
export interface TerminalRun {
  /** What is on the screen so far, without colours and cursor movements. */
  readonly text: string;
  /** Waits until it is there. */
  shows(expected: string | RegExp, ms?: number): Promise<void>;
  type(keys: string): void;
  /** @returns the exit code */
  ended(): Promise<number | null>;
}

/** Runs it under script(1) of util-linux, which gives all three streams a terminal of 100 columns. */
export function runInTerminal(
  argv: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): TerminalRun {
  const words = [process.execPath, runScript, ...argv].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const command = `stty cols 100 rows 40; exec ${words.join(' ')}`;
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    cwd: options.cwd,
    env: cliEnvironment({ TERM: 'xterm-256color', SHELL: '/bin/sh', ...options.env }),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const closed = once(child, 'close');
  const shown = (): string => stripVTControlCharacters(text);
  return {
    get text() {
      return shown();
    },
    async shows(expected, ms = 30_000) {
      await until(`${expected} on the screen`, () => found(shown(), expected), ms).catch((error: Error) => {
        throw new Error(`${error.message}; it shows:\n${shown()}`);
      });
    },
    type(keys) {
      child.stdin.write(keys);
    },
    async ended() {
      await closed;
      return child.exitCode;
    },
  };
}

function found(text: string, expected: string | RegExp): boolean {
  return typeof expected === 'string' ? text.includes(expected) : expected.test(text);
}
