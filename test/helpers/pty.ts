import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { cliEnvironment, runScript } from './cli.ts';

export interface InTerminal {
  /** All that was drawn so far, without control sequences. */
  readonly screen: () => string;
  /** Waits until it was drawn. */
  until(text: string): Promise<void>;
  press(keys: string): void;
  /** The exit code, once it has ended. */
  ended(): Promise<number | null>;
}

/** Runs the built CLI in a pseudo-terminal, by script(1) of util-linux; all three streams are it. */
export function startInTerminal(
  argv: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): InTerminal {
  const line = [process.execPath, runScript, ...argv].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const child = spawn('script', ['-qefc', `stty cols 100 rows 30; exec ${line}`, '/dev/null'], {
    cwd: options.cwd,
    env: cliEnvironment({ TERM: 'xterm-256color', SYSTEMPROMPT_INVOKED_AS: 'systemprompt', ...options.env }),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  let drawn = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    drawn += text;
  });
  const screen = (): string => stripVTControlCharacters(drawn);
  return {
    screen,
    async until(text) {
      const deadline = AbortSignal.timeout(30_000);
      while (!screen().includes(text)) {
        const more = once(child.stdout, 'data', { signal: deadline });
        await Promise.race([more, closed]).catch(() => {
          throw new Error(`"${text}" was not drawn; what was:\n${screen()}`);
        });
        if (child.exitCode !== null && !screen().includes(text)) throw new Error(`it ended:\n${screen()}`);
      }
    },
    press(keys) {
      child.stdin.write(keys);
    },
    async ended() {
      await closed;
      return child.exitCode;
    },
  };
}
