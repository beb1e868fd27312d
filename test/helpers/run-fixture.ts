import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningFixture {
  readonly process: ChildProcess;
  /** Resolves with the next line that it prints. */
  line(): Promise<string>;
  ended(): Promise<Ended>;
}

/** Starts a program of test/fixtures on this node, in a process of its own. */
export function runFixture(
  name: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): RunningFixture {
  const program = fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
  const child = spawn(process.execPath, [program, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let read = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const closed = once(child, 'close');
  return {
    process: child,
    async line() {
      for (;;) {
        const end = stdout.indexOf('\n', read);
        if (end !== -1) {
          const line = stdout.slice(read, end);
          read = end + 1;
          return line;
        }
        if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended: ${stderr}`);
        await Promise.race([once(child.stdout, 'data'), closed]);
      }
    },
    async ended() {
      await closed;
      return { code: child.exitCode, stdout, stderr };
    },
  };
}
