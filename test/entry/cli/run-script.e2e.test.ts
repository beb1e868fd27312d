import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cliEnvironment, openCliLoop, packageRoot, runCli, runScript } from '../../helpers/cli.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'systemprompt-run-'));
});
afterAll(async () => {
  await rm(cwd, { recursive: true, force: true });
});

/** Runs a Node.js with flags of its own. */
async function node(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, args, { cwd, env: cliEnvironment(env) });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

describe('--version', () => {
  it('is the one of the package', async () => {
    const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8'));
    const text = `systemprompt/${version} ${process.platform}-${process.arch} node-${process.version}`;
    expect(await runCli(['--version'], { cwd })).toEqual({ code: 0, stdout: `${text}\n`, stderr: '' });
    const json = await runCli(['--version', '--json'], { cwd });
    expect(JSON.parse(json.stdout)).toEqual({ ok: true, artifact: { type: 'text', content: text } });
    expect((await runCli(['--json', '--version'], { cwd })).stdout).toBe(json.stdout);
  });
});

describe('the root help', () => {
  it('is the same from the fast path and from the framework, and fits 80 columns', async () => {
    const fast = await runCli(['--help'], { cwd });
    await using loop = openCliLoop();
    const live = await loop.run({ argv: ['--help'], cwd });
    expect(fast.stdout).toBe(live.stdout);
    expect(fast).toMatchObject({ code: 0, stderr: '' });
    for (const line of fast.stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect((await runCli([], { cwd })).stdout).toBe(fast.stdout);
    expect((await runCli(['-h'], { cwd })).stdout).toBe(fast.stdout);
  });

  it('has bold headers at a terminal that wants them', async () => {
    await using loop = openCliLoop();
    const plain = await loop.run({ argv: ['--help'], cwd });
    const bold = await loop.run({ argv: ['--help'], cwd, tty: true });
    expect(bold.stdout).toContain('\u001B[1mUSAGE\u001B[22m');
    expect((await loop.run({ argv: ['--help'], cwd, tty: true, env: { NO_COLOR: '1' } })).stdout).toBe(plain.stdout);
  });
});

describe('an old Node.js', () => {
  // A real one can't be had everywhere; what run.js sees of one is its version.
  const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.11.1'})`;

  it('gets one clear line and exit code 6', async () => {
    const { code, stdout, stderr } = await node(['--import', pretend, runScript, 'infra', 'services', 'status']);
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' });
    expect(stderr).toMatch(/^systemprompt needs Node\.js 22\.19 or newer; this is 20\.11\.1\. Use the project’s own/);
    expect(stderr.trimEnd()).not.toContain('\n');
  });

  it('gets it as JSON too', async () => {
    const { code, stdout, stderr } = await node(['--import', pretend, runScript, 'doctor', '--json']);
    expect({ code, stderr }).toEqual({ code: 6, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'PRECONDITION', next: [] } });
  });

  it('still tells the version', async () => {
    expect((await node(['--import', pretend, runScript, '--version'])).code).toBe(0);
  });
});

describe('the compile cache', () => {
  it('is private to the user, and not used where others could write', async () => {
    const cache = await mkdtemp(join(tmpdir(), 'systemprompt-cache-'));
    try {
      await runCli(['doctor', '--help'], { cwd, env: { XDG_CACHE_HOME: cache } });
      const made = await stat(join(cache, 'systemprompt', 'compile'));
      expect(made.mode & 0o077).toBe(0);
      const report = `data:text/javascript,import m from 'node:module';process.on('exit',()=>process.stderr.write('cache:'+m.getCompileCacheDir()))`;
      const safe = await node(['--import', report, runScript, 'doctor', '--help'], { XDG_CACHE_HOME: cache });
      expect(safe.stderr).toContain(`cache:${join(cache, 'systemprompt', 'compile')}`);
      await node(['-e', `fs.chmodSync(${JSON.stringify(join(cache, 'systemprompt', 'compile'))}, 0o777)`]);
      const open = await node(['--import', report, runScript, 'doctor', '--help'], { XDG_CACHE_HOME: cache });
      expect(open.stderr).toContain('cache:undefined');
    } finally {
      await rm(cache, { recursive: true, force: true });
    }
  });
});

describe('a pipe', () => {
  it.each([['doctor', '--help'], ['--help'], ['--version']])(
    'that is closed early is no failure: %s %s',
    async (...argv) => {
      const child = spawn(process.execPath, [runScript, ...argv], {
        cwd,
        env: cliEnvironment(),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child.stdout.destroy();
      let stderr = '';
      child.stderr.on('data', (text) => {
        stderr += text;
      });
      await once(child, 'close');
      expect({ code: child.exitCode, stderr }).toEqual({ code: 0, stderr: '' });
    },
  );
});

describe('the prefix of suggestions', () => {
  it('is npx for a package that is installed in a project', async () => {
    const bin = join(cwd, 'node_modules', '.bin');
    await node(['-e', `fs.mkdirSync(${JSON.stringify(bin)}, {recursive: true})`]);
    await symlink(runScript, join(bin, 'systemprompt'));
    const { stdout } = await node([join(bin, 'systemprompt'), 'infra', 'services', 'logs', '--json']);
    expect(JSON.parse(stdout).error.next).toEqual(['npx systemprompt infra services start']);
  });

  it('is what npm run needs in the checkout', async () => {
    const env = { npm_command: 'run-script', npm_package_name: 'systemprompt' };
    const { stdout } = await runCli(['infra', 'services', 'logs', '--json'], { cwd, env });
    expect(JSON.parse(stdout).error.next).toEqual(['npm run -s systemprompt -- infra services start']);
  });
});
