import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import type { InstanceStatus } from '../../src/lib/app/supervisor/status.ts';
import { packageRoot } from '../../src/lib/infra/config/package-root.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

// The built system, which nobody tells anything: it sees its files change.

interface Events {
  readonly items: readonly {
    readonly service: string;
    readonly event: string;
    readonly to_state: string;
    readonly reason: string | null;
  }[];
}

let system: RunningSystem;
let server: string;
let good: string;

beforeAll(async () => {
  system = await startSystem(async ({ root }) => {
    await mkdir(join(root, 'services'));
    await cp(join(packageRoot(), 'services/mcp'), join(root, 'services/mcp'), { recursive: true });
  });
  server = join(system.instance.root, 'services/mcp/systemprompt.yaml');
  good = await readFile(server, 'utf8');
});
afterAll(async () => {
  await system[Symbol.asyncDispose]();
});

async function status(): Promise<InstanceStatus> {
  const client = await SupervisorClient.connect(system.instance.controlSocket);
  try {
    return await client.status();
  } finally {
    client.close();
  }
}

async function runs(): Promise<Record<string, string | undefined>> {
  const { services } = await status();
  return Object.fromEntries(services.map(({ name, instanceId }) => [name, instanceId]));
}

const state = async (): Promise<string | undefined> => (await status()).supervisor.files?.state;

async function lastRow(): Promise<Events['items'][number] | undefined> {
  const { items } = await system.artifact<Events>('infra', 'services', 'events', '--service', 'configuration');
  return items.at(-1);
}

/** What is in force, as the supervisor shows it. */
async function variables(): Promise<unknown> {
  const client = await SupervisorClient.connect(system.instance.controlSocket);
  try {
    const { services } = (await client.request('GET', '/v1/configuration')) as {
      services: { mcp_servers: { systemprompt: { env: unknown } } };
    };
    return services.mcp_servers.systemprompt?.env;
  } finally {
    client.close();
  }
}

interface Compared {
  readonly data: { readonly equal: boolean; readonly differences: readonly unknown[] };
}

const difference = (): Promise<Compared> => system.artifact<Compared>('admin', 'config', 'diff');

describe('a running system follows its files', () => {
  it('begins with what they say in force', async () => {
    expect(await state()).toBe('current');
    expect((await difference()).data).toMatchObject({ equal: true, differences: [] });
  });

  it('leaves an invalid change alone, and says so with its place', async () => {
    const before = await runs();
    await writeFile(server, good.replace('port: ', 'prot: '));
    await until('it has seen the change', async () => (await state()) === 'invalid', 30_000);
    expect(await runs()).toEqual(before);
    const shown = await system.run('infra', 'services', 'status');
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/systemprompt\.yaml:\d+:\d+/);
    expect(await variables()).toEqual({});
    await until('it is on record', async () => (await lastRow())?.to_state === 'invalid');
    expect((await lastRow())?.reason).toMatch(/systemprompt\.yaml:\d+:\d+ .*prot/);
  });

  it('has nothing to do when the file is as it was', async () => {
    const before = await runs();
    await writeFile(server, good);
    await until('it has seen the change', async () => (await state()) === 'current', 30_000);
    expect(await runs()).toEqual(before);
  });

  it('brings a valid change into force by itself, and replaces only what it is about', async () => {
    const before = await runs();
    await writeFile(server, `${good}\n    env: { FOLLOWED: "yes" }\n`);
    const told = async (): Promise<boolean> => (await lastRow())?.reason?.includes('replace mcp:systemprompt') === true;
    await until('the server was replaced', told, 60_000);
    expect(await variables()).toEqual({ FOLLOWED: 'yes' });
    expect((await runs())['mcp:systemprompt']).not.toBe(before['mcp:systemprompt']);
    expect((await runs())['database']).toBe(before['database']);
    expect((await status()).services.map((service) => service.state)).toEqual(['ready', 'ready', 'ready']);
  });

  it('leaves the process of a server alone when only the router goes by what has changed', async () => {
    const before = await runs();
    const now = (await readFile(server, 'utf8')).replace('scopes: [user]', 'scopes: [admin]');
    await writeFile(server, now);
    await until('the API was replaced', async () => (await runs())['api'] !== before['api'], 60_000);
    expect((await runs())['mcp:systemprompt']).toBe(before['mcp:systemprompt']);
  });

  it('only tells of a change while the profile says that somebody else decides', async () => {
    const profile = join(system.instance.dir, 'profiles/local/profile.yaml');
    const text = await readFile(profile, 'utf8');
    const before = await runs();
    await writeFile(profile, `${text}\nruntime: { apply_changes: manual }\n`);
    await rm(server);
    await writeFile(
      join(system.instance.root, 'services/mcp/renamed.yaml'),
      good.replace('  systemprompt:', '  renamed:'),
    );
    await until('it is pending', async () => (await state()) === 'pending', 30_000);
    expect(await runs()).toEqual(before);
    expect((await system.run('infra', 'services', 'status')).stdout).toMatch(/waits for a\s+reconcile/);
    const { differences } = (await difference()).data;
    expect(differences).toContainEqual({ path: 'mcp_servers.renamed.port', running: null, files: 5010, kind: 'added' });
    expect(differences).toContainEqual(expect.objectContaining({ path: 'runtime.apply_changes', files: 'manual' }));
    const reconciled = await system.run('infra', 'services', 'reconcile');
    expect(reconciled.code).toBe(0);
    expect(Object.keys(await runs())).toEqual(['database', 'api', 'mcp:renamed']);
    expect(await state()).toBe('current');
  });

  it('goes over to the folder that the profile names, and follows that one', async () => {
    const profile = join(system.instance.dir, 'profiles/local/profile.yaml');
    const text = (await readFile(profile, 'utf8')).replace('apply_changes: manual', 'apply_changes: automatic');
    const folder = join(system.instance.root, 'config/code');
    const own = (value: string): Promise<void> =>
      writeFile(join(folder, 'mcp/systemprompt.yaml'), `${good}\n    env: { FOLDER: "${value}" }\n`);
    const inForce = (value: string): Promise<unknown> =>
      until(`${value} is in force`, async () => JSON.stringify(await variables())?.includes(value) === true, 60_000);
    await writeFile(profile, `${text}\npaths: { services: config/code }\n`);
    await until('it misses the folder', async () => (await state()) === 'invalid', 30_000);
    await mkdir(join(folder, 'mcp'), { recursive: true });
    await own('one');
    await inForce('one');
    await own('two');
    await inForce('two');
    const shown = await system.run('admin', 'config', 'show', 'paths', '--origin');
    expect(shown.stdout).toMatch(/config\/code[\s\S]*profile\.yaml:\d+/);
  });

  it('gets a new address by a command that first says what it would do', async () => {
    const to = system.url.replace('localhost', '127.0.0.1');
    const rename = ['admin', 'identity', 'rename-origin', to];
    const issuerOf = async (): Promise<unknown> => {
      const answer = await fetch(`${system.url}/.well-known/oauth-authorization-server`).catch(() => undefined);
      return answer?.ok === true ? ((await answer.json()) as { issuer: string }).issuer : undefined;
    };
    const registry = async (token: string): Promise<number> => {
      const answer = await fetch(`${to}/api/v1/mcp/registry`, { headers: { authorization: `Bearer ${token}` } });
      return answer.status;
    };
    const login = async () => (await system.run('admin', 'session', 'login', '--token-only')).stdout.trim();
    const before = await login();
    expect(await system.artifact(...rename)).toMatchObject({
      data: { renamed: false, rp_id: { before: 'localhost', after: null }, issuer: { before: system.url, after: to } },
    });
    expect(await issuerOf()).toBe(system.url);
    expect(await system.artifact(...rename, '--yes')).toMatchObject({ data: { renamed: true } });
    await until('the API answers by its new address', async () => (await issuerOf()) === to);
    expect(await registry(before)).toBe(401);
    const after = await until('the owner signs in anew', async () => (await login()) || undefined);
    expect(await registry(after)).toBe(200);
  });

  it('leaves nothing behind', async () => {
    expect(await system.stop()).toEqual(noFootprint);
  });
});
