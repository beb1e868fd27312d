import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { locateInstance } from '../../src/lib/infra/config/instance.ts';
import { openSecretStore } from '../../src/lib/infra/config/secrets.ts';
import { toConnectionUrl } from '../../src/lib/infra/database/connection-url.ts';
import { loginRole } from '../../src/lib/infra/database/roles.ts';
import { withSession } from '../../src/lib/infra/database/session.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { rootInstanceDir } from '../../src/lib/infra/process/postgres-place.ts';
import { readPostgresState } from '../../src/lib/infra/process/postgres-state.ts';
import { type CliRun, runCli } from '../helpers/cli.ts';
import { freePort } from '../helpers/free-port.ts';
import { footprint, noFootprint } from '../helpers/leaks.ts';
import { until } from '../helpers/until.ts';

// Three tenants of one project at once: two with an embedded database each, one on a server that is there already.

interface Status {
  readonly title: string;
  readonly items: readonly {
    readonly name: string;
    readonly state: string;
    readonly pid: number;
    readonly port: number;
  }[];
}

let root: string;
const ids: string[] = [];

function run(line: string, env: Record<string, string> = {}): Promise<CliRun> {
  return runCli(line.split(' '), { cwd: root, env: { SYSTEMPROMPT_INVOKED_AS: 'systemprompt', ...env } });
}

async function artifact<T>(line: string): Promise<T> {
  const { stdout, stderr } = await run(`${line} --json`);
  const envelope = JSON.parse(stdout) as { ok: boolean; artifact: T };
  if (!envelope.ok) throw new Error(`${line}: ${stdout}\n${stderr}`);
  return envelope.artifact;
}

const status = (profile: string) => artifact<Status>(`infra services status --profile ${profile}`);

async function tenant(profile: string) {
  const found = await locateInstance(root, {}, profile);
  if (found === undefined) throw new Error(`there is no tenant ${profile}`);
  return found;
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'systemprompt-tenants-'));
  const port = await freePort();
  expect(await run(`cloud tenant create --port-base ${port}`)).toMatchObject({ code: 0 });
  expect(await run('cloud tenant create acme')).toMatchObject({ code: 0 });
  const SYSTEMPROMPT_DATABASE_URL = toConnectionUrl({ ...inject('postgres'), database: 'postgres' });
  expect(await run('cloud tenant create shop', { SYSTEMPROMPT_DATABASE_URL })).toMatchObject({ code: 0 });
  for (const name of ['local', 'acme', 'shop']) ids.push((await tenant(name)).id);
});
afterAll(async () => {
  // What a test that failed left running.
  for (const name of ['acme', 'shop', 'local']) if (existsSync(root)) await run(`cloud tenant delete ${name} --yes`);
  for (const id of ids) {
    for (const { identity } of await markedProcesses(id)) process.kill(identity.pid, 'SIGKILL');
    await rm(rootInstanceDir(id), { recursive: true, force: true });
  }
  await rm(root, { recursive: true, force: true });
});

it('start at boot each by a unit of its own, with its profile', async () => {
  const units = await Promise.all(
    ['local', 'acme'].map(async (profile) => {
      const { data, content } = await artifact<{ content: string; data: { name: string } }>(
        `infra services install --dry-run --profile ${profile}`,
      );
      expect(content).toContain(`SYSTEMPROMPT_PROFILE=${profile}`);
      expect(content).toContain((await tenant(profile)).id);
      return data.name;
    }),
  );
  expect(new Set(units).size).toBe(2);
  const doctor = await run('doctor --profile acme --json');
  const { items } = (JSON.parse(doctor.stdout) as { artifact: { items: { check: string; state: string }[] } }).artifact;
  const failed = items.filter(({ state }) => state === 'fail').map(({ check }) => check);
  expect(failed).toEqual([]);
});

it('run at once, each with its own processes, ports and database', async () => {
  const started = await Promise.all(
    ['local', 'acme', 'shop'].map((name) => run(`infra services start --profile ${name}`)),
  );
  for (const { code, stderr, stdout } of started) expect(code, `${stdout}${stderr}`).toBe(0);
  const all = await Promise.all(['local', 'acme', 'shop'].map(status));
  const services = all.flatMap(({ items }) => items);
  expect(services.map(({ state }) => state).filter((state) => state !== 'ready')).toEqual([]);
  expect(services).toHaveLength(8); // the server of shop's database is not ours
  expect(new Set(services.map(({ pid }) => pid)).size).toBe(8);
  expect(new Set(services.map(({ port }) => port)).size).toBe(8);
  for (const { items } of all.slice(1))
    for (const { name, port } of items) if (name !== 'database') expect(port).toBeGreaterThan(19_999);

  // What is done in one is in its own audit, and in no other's; its sign-in opens no other.
  const called = await run('plugins mcp call systemprompt systemprompt --arg command=doctor --profile acme');
  expect(called.code, called.stderr).toBe(0);
  const calls = async (profile: string) =>
    (await artifact<{ count: number }>(`admin audit list --profile ${profile}`)).count;
  expect(await Promise.all(['local', 'acme', 'shop'].map(calls))).toEqual([0, 1, 0]);
  const login = await run('admin session login --server systemprompt --token-only --profile acme');
  const at = async (profile: string): Promise<number> => {
    const port = (await status(profile)).items.find(({ name }) => name === 'api')?.port;
    const response = await fetch(`http://localhost:${port}/api/v1/mcp/systemprompt/mcp`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${login.stdout.trim()}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
    await response.body?.cancel();
    return response.status;
  };
  expect(await at('local')).toBe(401);
  expect(await at('shop')).toBe(401);
  expect(await at('acme')).not.toBe(401);
});

it('keep out each other’s database roles', async () => {
  const [local, acme] = [await tenant('local'), await tenant('acme')];
  const password = await (await openSecretStore(acme)).require('database.app');
  const enter = async (port: number, database: string): Promise<string> =>
    await withSession(
      { host: '127.0.0.1', port, database, user: loginRole('systemprompt', 'app'), password },
      {},
      async () => 'entered',
    ).catch((error: Error) => error.message);
  expect(await enter((await readPostgresState(acme))?.port ?? 0, 'systemprompt')).toBe('entered');
  expect(await enter((await readPostgresState(local))?.port ?? 0, 'systemprompt')).toMatch(/was refused/);
});

it('are known by the profile: the folder’s, the selected one, the variable, the flag', async () => {
  const active = async (env: Record<string, string> = {}) => {
    const { stdout } = await run('cloud tenant show --json', env);
    return (JSON.parse(stdout) as { artifact: { data: { name: string } } }).artifact.data.name;
  };
  expect(await active()).toBe('local');
  expect(await run('cloud tenant select shop')).toMatchObject({ code: 0 });
  expect(await active()).toBe('shop');
  await writeFile(join(root, '.systemprompt-profile'), 'acme\n');
  expect(await active()).toBe('acme');
  expect(await active({ SYSTEMPROMPT_PROFILE: 'local' })).toBe('local');
  await rm(join(root, '.systemprompt-profile'));
  expect(await run('admin session switch local')).toMatchObject({ code: 0 });
  expect(await run('admin session switch nope')).toMatchObject({ code: 3 });
  expect((await run('admin session switch')).stderr).toContain('needs <profile>');
  expect(await run('admin session switch shop --here')).toMatchObject({ code: 0 });
  expect(await active()).toBe('shop');
  await rm(join(root, '.systemprompt-profile'));
  expect(await run('cloud tenant select nope')).toMatchObject({ code: 3 });
});

it('have a sign-in each: listed, shown with its profile, renewed while it is used, ended everywhere at once', async () => {
  interface Kept {
    readonly sessions: Record<string, { token: string; expiresAt: string; sessionId: string; renewFrom?: string }>;
  }
  const file = join(root, '.systemprompt/sessions/index.json');
  const kept = async () => (JSON.parse(await readFile(file, 'utf8')) as Kept).sessions;
  for (const line of [
    'admin session login',
    'admin session login --profile acme',
    'admin session login --profile shop --ttl 5m',
  ])
    expect(await run(line), line).toMatchObject({ code: 0 });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const { items } = await artifact<{ items: { profile: string; active: boolean; state: string }[] }>(
    'admin session list',
  );
  expect(items.map(({ profile, active, state }) => [profile, active, state])).toEqual([
    ['acme', false, 'signed in'],
    ['local', true, 'signed in'],
    ['shop', false, 'signed in'],
  ]);
  const shown = await run('admin session show --profile acme');
  expect(shown.stdout).toMatch(/acme\s+by --profile/);

  const before = await kept();
  expect(before['shop']?.renewFrom).toBeUndefined();
  const soon = new Date(Date.now() + 5 * 60_000).toISOString();
  const near = {
    version: 1,
    sessions: { ...before, local: { ...before['local'], expiresAt: soon, renewFrom: new Date().toISOString() } },
  };
  await writeFile(file, JSON.stringify(near), { mode: 0o600 });
  const looked = await run('infra services status');
  expect(looked).toMatchObject({ code: 0, stderr: '' });
  await run('infra services status --profile shop');
  const after = await kept();
  expect(Date.parse(after['local']?.expiresAt ?? '') - Date.now()).toBeGreaterThan(50 * 60_000);
  expect(after['local']?.sessionId).not.toBe(before['local']?.sessionId);
  expect(after['shop']).toEqual(before['shop']);
  const actor = async (token: string | undefined): Promise<string> => {
    const { SupervisorClient } = await import('../../src/lib/app/supervisor/client.ts');
    const { controlSocket } = await tenant('local');
    const client = await SupervisorClient.connect(controlSocket);
    return await client
      .request('POST', '/v1/actor', { token })
      .then(
        () => 'good',
        () => 'refused',
      )
      .finally(() => client.close());
  };
  expect(await actor(after['local']?.token)).toBe('good');
  expect(await actor(before['local']?.token)).toBe('refused');

  await chmod(file, 0o644);
  const open = await run('admin session show');
  expect(open.code).toBe(6);
  expect(open.stderr).toContain(`chmod 600 ${file}`);
  await chmod(file, 0o600);
  const out = await artifact<{ items: unknown[] }>('admin session logout --all');
  expect(out.items).toEqual([
    { profile: 'acme', user: 'owner', revoked: true },
    { profile: 'local', user: 'owner', revoked: true },
    { profile: 'shop', user: 'owner', revoked: true },
  ]);
  expect(await actor(after['local']?.token)).toBe('refused');
  const nobody = await run('admin session show');
  expect(nobody.code).toBe(4);
  expect(nobody.stdout).toMatch(/local\s+selected for the project/);
});

it('stop one by one, and the others go on as they were', async () => {
  const before = await Promise.all(['local', 'shop'].map(status));
  expect(await run('infra services stop --profile acme')).toMatchObject({ code: 0 });
  expect((await status('acme')).title).toContain('Nothing is running');
  const after = await Promise.all(['local', 'shop'].map(status));
  const places = (all: Status[]) =>
    all.flatMap(({ items }) => items.map(({ name, pid, port, state }) => [name, pid, port, state]));
  expect(places(after)).toEqual(places(before));
  const { items } = await artifact<{ items: { name: string; state: string }[] }>('cloud tenant list');
  expect(items.map(({ name, state }) => [name, state])).toEqual([
    ['local', 'running'],
    ['acme', 'stopped'],
    ['shop', 'running'],
  ]);
});

it('refuse a start by another profile of the same tenant while one runs', async () => {
  const { projectDir } = await tenant('local');
  await mkdir(join(projectDir, 'profiles/second'), { mode: 0o700 });
  await writeFile(join(projectDir, 'profiles/second/profile.yaml'), 'server: { port: 28999 }\n');
  const { code, stderr } = await run('infra services start --profile second');
  expect(code, stderr).toBe(1);
  expect(stderr).toContain('by the profile `local`, and not by `second`');
});

it('are deleted with all that they have, also when their supervisor was killed', async () => {
  const shop = await tenant('shop');
  const acme = await tenant('acme');
  const { title, items } = await status('shop');
  process.kill(Number(/supervisor (\d+)/.exec(title)?.[1]), 'SIGKILL');
  await until('the supervisor is gone', async () => (await status('shop')).title.startsWith('No supervisor'));
  expect((await run('cloud tenant delete shop')).code).toBe(5);
  const deleted = await artifact<{ data: { ended: string[]; dropped_database: string } }>(
    'cloud tenant delete shop --yes',
  );
  expect(deleted.data.ended).toHaveLength(2);
  expect(deleted.data.dropped_database).toMatch(/^systemprompt_shop_/);
  expect(await run('cloud tenant delete acme --yes')).toMatchObject({ code: 0 });
  for (const { id, dir, runtimeDir } of [shop, acme]) {
    for (const { port } of items)
      expect(await footprint({ installationId: id, ports: [port, port], runtimeDir, dir })).toEqual(noFootprint);
    for (const path of [dir, runtimeDir, rootInstanceDir(id)]) expect(existsSync(path), path).toBe(false);
  }
  expect(await readdir(join(root, '.systemprompt/profiles'))).toEqual(['local', 'second']);
  expect((await status('local')).items.every(({ state }) => state === 'ready')).toBe(true);

  const local = await tenant('local');
  expect(await run('cloud tenant delete local --yes')).toMatchObject({ code: 0 });
  expect(await readdir(root)).toEqual([]);
  for (const path of [local.runtimeDir, rootInstanceDir(local.id)]) expect(existsSync(path), path).toBe(false);
});
