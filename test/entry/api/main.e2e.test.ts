import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../../src/lib/infra/config/instance.ts';
import { packageRoot } from '../../../src/lib/infra/config/package-root.ts';
import { openSecretStore } from '../../../src/lib/infra/config/secrets.ts';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.ts';
import { freePort } from '../../helpers/free-port.ts';
import { until } from '../../helpers/identity.ts';

const main = join(packageRoot(), 'dist', 'entry', 'api', 'main.js');
const rssLimit = 130 * 1024 * 1024;

let root: string;
let instance: Instance;
let database: TestDatabase;
let port: number;
let child: ChildProcess | undefined;
let output = '';

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sp-api-'));
  instance = await createLocalInstance(root, {});
  database = await createTestDatabase();
  const secrets = await openSecretStore(instance);
  await secrets.set('database.app', database.app.password);
  await secrets.set('database.audit', database.audit.password);
  port = await freePort();
  await configure();
  await mkdir(join(root, 'services', 'mcp'), { recursive: true });
  await writeFile(
    join(root, 'services', 'mcp', 'alpha.yaml'),
    'mcp_servers:\n  alpha:\n    module: nothing\n    port: 5001\n    description: Test\n    oauth: { scopes: [user] }\n',
  );
  output = '';
});
afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  child = undefined;
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

/** Writes the profile: the test's database and port, and what else is given. */
async function configure(rest = ''): Promise<void> {
  const { host, port: databasePort, database: name } = database.owner;
  const url = `postgres://owner@localhost:${databasePort}/${name}?host=${encodeURIComponent(host)}`;
  const text = `server: { port: ${port} }\ndatabase: { url: '${url}' }\n${rest}`;
  await writeFile(join(instance.dir, 'profiles', 'local', 'profile.yaml'), text, { mode: 0o600 });
}

function start(env: Record<string, string> = {}): { process: ChildProcess; instanceId: string } {
  const instanceId = randomUUID();
  child = spawn(process.execPath, [main], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', SYSTEMPROMPT_ROOT: root, SYSTEMPROMPT_SERVICE_INSTANCE: instanceId, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  return { process: child, instanceId };
}

async function exitCode(process: ChildProcess): Promise<number | null> {
  const [code] = (await once(process, 'exit')) as [number | null];
  return code;
}

const url = (path: string) => `http://localhost:${port}${path}`;
const status = (path: string) =>
  fetch(url(path)).then(
    (response) => response.status,
    () => 0,
  );

describe('the API process', () => {
  it('serves what it was started as, in the memory that it may have, and stops with 0', async () => {
    const { process: api, instanceId } = start();
    await until('it is ready', async () => (await status('/readyz')) === 200, 20_000).catch((error) => {
      throw new Error(`${error.message}\n${output}`);
    });
    const health = (await (await fetch(url('/healthz'))).json()) as { instanceId: string; pid: number };
    expect(health).toMatchObject({ instanceId, pid: api.pid });
    const refused = await fetch(url('/api/v1/mcp/alpha/mcp'), { method: 'POST', body: '{}' });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toBe(
      `Bearer resource_metadata="${url('/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp')}", scope="user"`,
    );
    expect((await fetch(url('/api/v1/mcp/nobody/mcp'), { method: 'POST', body: '{}' })).status).toBe(404);
    const registry = (await (await fetch(url('/api/v1/mcp/registry'))).json()) as { servers: object[] };
    expect(registry.servers).toMatchObject([{ name: 'alpha', endpoint: url('/api/v1/mcp/alpha/mcp') }]);
    const statm = await readFile(`/proc/${api.pid}/status`, 'utf8').catch(() => undefined);
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(statm ?? '')?.[1] ?? 0) * 1024;
    expect(rss).toBeLessThan(rssLimit);
    const ended = exitCode(api);
    api.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(output).toContain('"Stopped"');
  });

  it.each<[string, string, Record<string, string>, RegExp]>([
    ['no run of its own', '', { SYSTEMPROMPT_SERVICE_INSTANCE: '' }, /SYSTEMPROMPT_SERVICE_INSTANCE/],
    ['a profile that does not hold', 'serverr: {}\n', {}, /serverr/],
    ['no instance', '', { SYSTEMPROMPT_ROOT: '/nonexistent' }, /instance/],
  ])('ends with 78 for %s', async (_what, profile, env, message) => {
    await configure(profile);
    const { process: api } = start(env);
    expect(await exitCode(api)).toBe(78);
    expect(output).toMatch(message);
  });

  it('auth 53: ends with 1 when the database is away: nobody is let in without it', async () => {
    await database.drop();
    const { process: api } = start();
    expect(await exitCode(api)).toBe(1);
  });
});
