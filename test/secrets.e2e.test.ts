import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateMasterKey, masterKeyText } from '../src/lib/infra/config/master-key.ts';
import { openSecretStore } from '../src/lib/infra/config/secrets.ts';
import { runCli } from './helpers/cli.ts';
import { type RunningSystem, startSystem } from './helpers/running-system.ts';

const extension = join(import.meta.dirname, 'fixtures/extensions/demo.mjs');

interface Row {
  readonly name: string;
  readonly pid: number;
  readonly state: string;
}

describe.runIf(process.platform === 'linux')('secrets of a running system', () => {
  let system: RunningSystem;
  const file = (): string => join(system.instance.root, 'services/mcp/servers.yaml');
  const written = (more = ''): string => {
    const server = (name: string, port: number, rest: string) =>
      `  ${name}:\n    module: ${extension}\n    port: ${port}\n    description: A server\n    oauth: { scopes: [user] }\n${rest}`;
    return `mcp_servers:\n${server('one', 5861, `    variables:\n      API_KEY: { secret: true, required: true }\n${more}`)}${server('two', 5862, '    env: { SHARED: "${secret:SHARED}" }\n')}`;
  };
  beforeAll(async () => {
    system = await startSystem(async (instance) => {
      const secrets = await openSecretStore(instance);
      await secrets.setMany(
        new Map([
          ['API_KEY', 'shared key'],
          ['SHARED', 'shared'],
        ]),
      );
      mkdirSync(join(instance.root, 'services/mcp'), { recursive: true });
      writeFileSync(join(instance.root, 'services/mcp/servers.yaml'), written());
    });
  }, 120_000);
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
  });

  const rows = async (): Promise<Map<string, Row>> => {
    const { items } = await system.artifact<{ items: Row[] }>('infra', 'services', 'status');
    return new Map(items.map((row) => [row.name, row]));
  };
  const environment = (row: Row | undefined): Record<string, string> => {
    const entries = readFileSync(`/proc/${row?.pid}/environ`, 'utf8')
      .split('\0')
      .filter((line) => line !== '');
    return Object.fromEntries(
      entries.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  };
  const set = async (input: string, ...argv: string[]): Promise<void> => {
    const run = await runCli(['cloud', 'secrets', 'set', ...argv], { cwd: system.instance.root, input });
    expect(run).toMatchObject({ code: 0, stderr: '' });
  };

  it('reach the server that declares them, and no other process', async () => {
    const all = await rows();
    expect(environment(all.get('mcp:one'))).toMatchObject({
      API_KEY: 'shared key',
      SYSTEMPROMPT_SECRET_VARIABLES: 'API_KEY',
    });
    expect(environment(all.get('mcp:two'))).toMatchObject({ SHARED: 'shared' });
    for (const name of ['mcp:two', 'api', 'database']) expect(environment(all.get(name))).not.toHaveProperty('API_KEY');
    for (const name of ['mcp:one', 'api', 'database']) expect(environment(all.get(name))).not.toHaveProperty('SHARED');
  });

  it('a changed one is in force after a reconcile, which replaces the servers that use it alone', async () => {
    const before = await rows();
    await set('own key', 'API_KEY', '--server', 'one');
    const { items: plan } = await system.artifact<{ items: { service: string; step: string }[] }>(
      'infra',
      'services',
      'reconcile',
    );
    expect(JSON.stringify(plan)).not.toContain('own key');
    const after = await rows();
    expect(environment(after.get('mcp:one'))).toMatchObject({ API_KEY: 'own key' });
    expect(after.get('mcp:one')?.pid).not.toBe(before.get('mcp:one')?.pid);
    for (const name of ['mcp:two', 'api', 'database']) expect(after.get(name)?.pid).toBe(before.get(name)?.pid);
  });

  it('are read by what runs after the master key was exchanged, and after the former one was forgotten', async () => {
    const before = await rows();
    const rotated = await system.artifact<{ data: { from: { kid: string }; to: { kid: string } } }>(
      'cloud',
      'secrets',
      'rotate',
    );
    expect(rotated.data.to.kid).not.toBe(rotated.data.from.kid);
    const plan = await system.artifact<{ items: { step: string }[] }>('infra', 'services', 'reconcile', '--dry-run');
    expect(new Set(plan.items.map(({ step }) => step))).toEqual(new Set(['keep']));
    expect((await rows()).get('api')?.pid).toBe(before.get('api')?.pid);
    // A new process of the API opens the signing keys that were sealed under the former key.
    expect(await system.run('infra', 'services', 'restart')).toMatchObject({ code: 0 });
    await system.token('--server', 'one');
    expect(await system.run('cloud', 'secrets', 'rotate', '--retire')).toMatchObject({ code: 5 });
    const retired = await system.artifact('cloud', 'secrets', 'rotate', '--retire', '--yes');
    expect(retired).toMatchObject({ data: { resealed: 2, forgotten: 1 } });
    expect(await system.run('infra', 'services', 'restart')).toMatchObject({ code: 0 });
    expect(await system.run('infra', 'services', 'reconcile')).toMatchObject({ code: 0 }); // digests are made anew
    await system.token('--server', 'one');
  }, 120_000);

  it('that the system made are replaced with what depends on them, or it says when they can be', async () => {
    const before = await rows();
    expect(await system.run('cloud', 'secrets', 'rotate', 'API_KEY')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('API_KEY is a secret of yours'),
    });
    expect(await system.run('cloud', 'secrets', 'rotate', 'database.superuser')).toMatchObject({ code: 6 });
    const owner = await system.run('cloud', 'secrets', 'rotate', 'database.owner');
    expect(owner.stderr).toContain('infra services stop');
    const url = environment(before.get('mcp:two'))['DATABASE_URL'];
    expect(await system.run('cloud', 'secrets', 'rotate', 'database.mcp.two')).toMatchObject({ code: 0 });
    expect(await system.run('infra', 'services', 'reconcile')).toMatchObject({ code: 0 });
    const after = await rows();
    expect(environment(after.get('mcp:two'))['DATABASE_URL']).not.toBe(url);
    for (const name of ['mcp:one', 'api', 'database']) expect(after.get(name)?.pid).toBe(before.get(name)?.pid);
    expect((await system.run('infra', 'services', 'stop')).code).toBe(0);
    for (const name of ['database.owner', 'database.app', 'database.audit', 'identity.root']) {
      expect(await system.run('cloud', 'secrets', 'rotate', name)).toMatchObject({ code: 0 });
    }
    expect(await system.run('infra', 'services', 'start')).toMatchObject({ code: 0 });
    await system.token('--server', 'one');
  }, 120_000);

  it('a missing one that is required is refused by reconcile and start, with the place and the command', async () => {
    writeFileSync(file(), written('      MISSING: { required: true }\n'));
    const expected =
      /servers\.yaml:9:7 {2}the variable MISSING, which one requires, is not set {2}set it: cloud secrets set MISSING --server one/;
    const reconcile = await system.run('infra', 'services', 'reconcile');
    expect(reconcile).toMatchObject({ code: 6, stderr: expect.stringMatching(expected) });
    expect((await system.run('infra', 'services', 'stop')).code).toBe(0);
    const start = await system.run('infra', 'services', 'start');
    expect(start).toMatchObject({ code: 6, stderr: expect.stringMatching(expected) });
    await set('found', 'MISSING', '--server', 'one');
    expect(await system.run('infra', 'services', 'start')).toMatchObject({ code: 0 });
    expect(environment((await rows()).get('mcp:one'))).toMatchObject({ MISSING: 'found', API_KEY: 'own key' });
  });
});

describe.runIf(process.platform === 'linux')('a master key in the environment', () => {
  it('reaches the processes of the core and no server, and is nowhere in the instance', async () => {
    const key = masterKeyText(generateMasterKey());
    await using system = await startSystem(undefined, { SYSTEMPROMPT_MASTER_KEY: key });
    await system.token('--server', 'systemprompt');
    const { items } = await system.artifact<{ items: Row[] }>('infra', 'services', 'status');
    const holders = items.filter(({ pid }) => readFileSync(`/proc/${pid}/environ`, 'latin1').includes(key));
    expect(holders.map(({ name }) => name)).toEqual(['api']);
    expect(items.map(({ name }) => name)).toContain('mcp:systemprompt');
    // A running process has the environment that it was started with.
    const refused = await system.run('cloud', 'secrets', 'rotate');
    expect(refused.stderr).toContain('infra services stop');
    for (const path of readdirSync(system.instance.dir, { recursive: true, withFileTypes: true })) {
      if (!path.isFile() || path.parentPath.startsWith(system.instance.dataDir)) continue;
      expect(readFileSync(join(path.parentPath, path.name), 'latin1'), path.name).not.toContain(key);
    }
  }, 120_000);
});
