import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { cliEnvironment, runScript } from './cli.ts';
import { until } from './until.ts';

/** A command line in a real pseudo-terminal, as a person has it. */
export interface TerminalRun {
  /** All that was drawn so far, without colours and cursor movements. */
  readonly text: string;
  /** Waits until it is there; fails with what is there instead, at once when the program has ended. */
  shows(expected: string | RegExp, ms?: number): Promise<void>;
  type(keys: string): void;
  /** @returns the exit code */
  ended(): Promise<number | null>;
}

export interface TerminalOptions {
  /** In the words of stty(1); 100 columns and 40 rows unless told. */
  readonly size?: string;
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The program and what stands before the arguments; the built CLI when absent. */
  readonly program?: readonly string[];
}

/** Runs it under script(1) of util-linux, which gives all three streams a terminal, of 100 columns and 40 lines. */
export function runInTerminal(argv: readonly string[], options: TerminalOptions): TerminalRun {
  const program = options.program ?? [process.execPath, runScript];
  const words = [...program, ...argv].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  // A pseudo-terminal has no size until somebody gives it one.
  const command = `stty ${options.size ?? 'cols 100 rows 40'}; exec ${words.join(' ')}`;
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
    cwd: options.cwd,
    env: cliEnvironment({
      TERM: 'xterm-256color',
      SHELL: '/bin/sh',
      SYSTEMPROMPT_INVOKED_AS: 'systemprompt',
      ...options.env,
    }),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const closed = once(child, 'close');
  let over = false;
  const atEnd = closed.then(() => {
    over = true;
  });
  const shown = (): string => stripVTControlCharacters(text);
  const isThere = (expected: string | RegExp): boolean =>
    typeof expected === 'string' ? shown().includes(expected) : expected.test(shown());
  return {
    get text() {
      return shown();
    },
    async shows(expected, ms = 30_000) {
      await until(`${expected} on the screen`, () => isThere(expected) || over, ms).catch(() => undefined);
      if (isThere(expected)) return;
      throw new Error(`${expected} is not on the screen${over ? ', and it has ended' : ''}; it shows:\n${shown()}`);
    },
    type(keys) {
      child.stdin.write(keys);
    },
    async ended() {
      await atEnd;
      return child.exitCode;
    },
  };
}
