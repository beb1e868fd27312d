import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runFixture } from './run-fixture.ts';

export const packageRoot = fileURLToPath(new URL('../../', import.meta.url));
export const runScript = fileURLToPath(new URL('../../bin/run.js', import.meta.url));

export interface CliRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliRequest {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** All three streams are terminals. */
  readonly tty?: boolean;
  readonly columns?: number;
}

/**
 * The environment of a CLI under test: where programs and the user's folders are, and nothing of what this machine, npm
 * or a pipeline says about how to behave.
 */
export function cliEnvironment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'TMPDIR'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), ...extra };
}

/** Runs the built CLI in a process of its own. @param options `input` comes on standard input, which is closed without */
export async function runCli(
  argv: readonly string[],
  options: { cwd: string; env?: Record<string, string>; input?: string },
): Promise<CliRun> {
  const child = startCli(argv, options);
  child.stdin?.end(options.input);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

/** Starts the built CLI in a process of its own, with pipes. */
export function startCli(
  argv: readonly string[],
  options: { cwd: string; env?: Record<string, string>; input?: string },
): ChildProcess {
  return spawn(process.execPath, [runScript, ...argv], {
    cwd: options.cwd,
    env: cliEnvironment(options.env),
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
}

export interface CliLoop extends AsyncDisposable {
  run(request: CliRequest): Promise<CliRun>;
}

/** One process that runs many command lines, a few milliseconds each: the built CLI, with streams of the test's own. */
export function openCliLoop(): CliLoop {
  const fixture = runFixture(
    'programs/cli-loop.mjs',
    [packageRoot, `${packageRoot}dist/entry/cli/main.js`],
    cliEnvironment({ SYSTEMPROMPT_INVOKED_AS: 'systemprompt' }),
  );
  return {
    async run(request) {
      fixture.process.stdin?.write(`${JSON.stringify(request)}\n`);
      return JSON.parse(await fixture.line()) as CliRun;
    },
    async [Symbol.asyncDispose]() {
      fixture.process.stdin?.end();
      await fixture.ended();
    },
  };
}
