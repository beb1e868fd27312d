import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const fixtures = join(root, 'test', 'fixtures', 'scripts');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A checkout of the test's own: the real scripts, one small command, and in the places of npm and the CLI programs that say what they got. */
export interface Checkout extends AsyncDisposable {
  readonly path: string;
  write(file: string, content: string): Promise<void>;
  start(script: string, args?: readonly string[], env?: Readonly<Record<string, string>>): ChildProcess;
  run(script: string, args?: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ended>;
}

export const command = (summary: string): string =>
  `import { Command } from '@oclif/core';
import { greeting } from '../greeting.ts';
export default class Hello extends Command {
  static override summary = ${JSON.stringify(summary)};
  async run(): Promise<void> {
    this.log(greeting);
  }
}
`;

export async function makeCheckout(): Promise<Checkout> {
  const path = await mkdtemp(join(tmpdir(), 'systemprompt-checkout-'));
  const write = async (file: string, content: string) => {
    await mkdir(dirname(join(path, file)), { recursive: true });
    await writeFile(join(path, file), content);
  };
  for (const part of ['scripts', 'tools', 'package.json', 'package-lock.json', 'tsconfig.json']) {
    await cp(join(root, part), join(path, part), {
      recursive: true,
      filter: (source) => !source.includes('/node_modules'),
    });
  }
  await write('src/greeting.ts', "export const greeting = 'hello';\n");
  await write('src/commands/hello.ts', command('Greets'));
  await mkdir(join(path, 'bin'));
  await cp(join(fixtures, 'cli.mjs'), join(path, 'bin', 'run.js'));
  await mkdir(join(path, 'node_modules'));
  for (const name of await readdir(join(root, 'node_modules'))) {
    if (name !== '.systemprompt-install.json')
      await symlink(join(root, 'node_modules', name), join(path, 'node_modules', name));
  }
  const start = (script: string, args: readonly string[] = [], env: Readonly<Record<string, string>> = {}) =>
    spawn(process.execPath, [join(path, 'scripts', script), ...args], {
      cwd: path,
      env: { ...process.env, npm_execpath: join(fixtures, 'npm-cli.js'), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, as npm in a terminal has one: a signal to it reaches the script and what it started.
      detached: true,
    });
  return {
    path,
    write,
    start,
    async run(script, args, env) {
      const child = start(script, args, env);
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
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
