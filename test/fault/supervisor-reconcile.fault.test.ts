import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import type { ReconcileResult } from '../../src/lib/app/supervisor/status.ts';
import { identify, isAlive } from '../../src/lib/infra/process/identity.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { spawnService } from '../../src/lib/infra/process/spawn.ts';
import type { ServiceInstanceId } from '../../src/lib/shared/ids.ts';
import { fixtureSpec } from '../helpers/fixture-services.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { Supervised } from '../helpers/supervised.ts';
import { until } from '../helpers/until.ts';

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  await system.remove();
});

const ready = ({ state }: { state: string }): boolean => state === 'ready';
const issue = { file: 'services/mcp/x.yaml', line: 3, column: 11, message: 'must be a number' };

function planOf({ steps }: ReconcileResult): string[] {
  return steps.map(({ kind, name }) => `${kind} ${name}`);
}

function runs(client: SupervisorClient): Promise<(string | undefined)[]> {
  return client.status().then(({ services }) => services.map(({ name, instanceId }) => `${name} ${instanceId}`));
}

async function booted(client: SupervisorClient) {
  for await (const event of client.events()) if (event.type === 'ready') return event;
  throw new Error('it ended before it was ready');
}

async function written(count: number): Promise<void> {
  await until('rows are written', async () => {
    const rows = await system.sql.query("SELECT name FROM services WHERE state = 'ready'");
    return rows.length === count;
  });
}

async function stray(service: string, port: number) {
  const spec = fixtureSpec({ name: service, program: 'good', port });
  const instanceId = randomUUID() as ServiceInstanceId;
  const markers = {
    SYSTEMPROMPT_ROOT: system.folder,
    SYSTEMPROMPT_PROFILE: 'test',
    SYSTEMPROMPT_INSTANCE: system.installation.id,
    SYSTEMPROMPT_SERVICE: service,
    SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
  };
  const command = await spec.command({ instanceId, port });
  return (await spawnService(command, markers, join(system.folder, 'stray.log'))).identity;
}

describe('reconcile of a running system', () => {
  it('starts what is new, replaces what has changed, ends what is gone, sweeps and clears; a dry run does none of it', async () => {
    const same = { name: 'same', program: 'good', port: system.port(0) };
    const changed = { name: 'changed', program: 'good', port: system.port(1) };
    const gone = { name: 'gone', program: 'good', port: system.port(2) };
    const broken = { name: 'broken', program: 'invalid', port: system.port(3) };
    const stopped = { name: 'stopped', program: 'good', port: system.port(4) };
    const fresh = { name: 'fresh', program: 'good', port: system.port(5) };
    const { client } = await system.start([same, changed, gone, broken, stopped]);
    await booted(client);
    await client.stop(['stopped']);
    const lost = await stray('lost', system.port(6));
    await system.sql.query(
      `INSERT INTO services (installation_id, epoch, host, name, kind, desired, state, generation, instance_id, boot_id, pid, start_ticks)
       SELECT installation_id, epoch, host, 'dead', kind, desired, 'ready', 1, gen_random_uuid(), 'another boot', 4711, '1'
       FROM services WHERE name = 'same'`,
    );
    const before = await client.status();
    const of = (name: string) => before.services.find((service) => service.name === name);

    expect(planOf(await client.reconcile())).toEqual([
      'clear dead',
      'drop dead',
      'end lost',
      'keep same',
      'keep changed',
      'keep gone',
      'keep broken',
      'keep stopped',
    ]);
    expect(await isAlive(lost)).toBe(false);
    const again = await stray('lost', system.port(6));

    system.configure([
      same,
      { ...changed, configHash: '2' },
      { ...broken, program: 'good', configHash: '2' },
      stopped,
      fresh,
    ]);
    const rows = () => system.sql.query<{ name: string }>('SELECT name, state, pid FROM services ORDER BY name');
    const untouched = [await runs(client), await rows()];
    const plan = await client.reconcile({ dryRun: true });
    expect(planOf(plan)).toEqual([
      'end gone',
      'drop gone',
      'end lost',
      'keep same',
      'replace changed',
      'start broken',
      'keep stopped',
      'start fresh',
    ]);
    expect([await runs(client), await rows()]).toEqual(untouched);
    expect(await isAlive(again)).toBe(true);

    const done = await client.reconcile();
    expect(done).toMatchObject({ valid: true, steps: plan.steps, failed: [] });
    const after = await client.status();
    expect(after.services.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'same ready',
      'changed ready',
      'broken ready',
      'stopped stopped',
      'fresh ready',
    ]);
    expect(after.services[0]?.instanceId).toBe(of('same')?.instanceId);
    expect(after.services[1]?.instanceId).not.toBe(of('changed')?.instanceId);
    expect(await isAlive(again)).toBe(false);
    expect(await identify(of('gone')?.pid ?? 0)).toBeUndefined();
    expect((await rows()).map(({ name }) => name)).toEqual(['broken', 'changed', 'fresh', 'same', 'stopped']);
    expect(planOf(await client.reconcile())).toEqual(after.services.map(({ name }) => `keep ${name}`));
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('takes nobody for a stranger on its port who has it on another address', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0) };
    const { client } = await system.start([a]);
    await booted(client);
    const neighbour = createServer().listen(system.port(0), '127.0.0.2');
    await once(neighbour, 'listening');
    try {
      expect(planOf(await client.reconcile())).toEqual(['keep a']);
      process.kill((await client.status()).services[0]?.pid ?? 0, 'SIGKILL');
      await system.state(client, 'a', ({ generation, state }) => generation === 2 && state === 'ready');
      await system.stop(client);
    } finally {
      neighbour.close();
    }
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('changes nothing on an invalid configuration, and tells every finding', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0) };
    const { client } = await system.start([a]);
    await booted(client);
    const before = await runs(client);
    system.configure([{ ...a, configHash: '2' }], [issue, { ...issue, line: 9 }]);
    expect(await client.reconcile()).toMatchObject({ valid: false, issues: [issue, { ...issue, line: 9 }], steps: [] });
    expect(await runs(client)).toEqual(before);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('names what does not become ready, and does the rest', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0) };
    const { client } = await system.start([a]);
    await booted(client);
    system.configure([
      a,
      { name: 'bad', program: 'invalid', port: system.port(1) },
      { ...a, name: 'b', port: system.port(2) },
    ]);
    const result = await client.reconcile();
    expect(result.failed).toEqual(['bad']);
    expect(result.services.map(({ name, state }) => `${name} ${state}`)).toEqual(['a ready', 'bad failed', 'b ready']);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('replaces by hand-over: a successor that does not become ready leaves the old one serving', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0), range: system.ports, handOver: true };
    const { client } = await system.start([a]);
    await booted(client);
    const [before] = (await client.status()).services;
    system.configure([{ ...a, program: 'crashes', configHash: '2' }]);
    const broken = await client.reconcile();
    expect([planOf(broken), broken.failed]).toEqual([['replace a'], ['a']]);
    expect(broken.services).toMatchObject([{ state: 'ready', instanceId: before?.instanceId }]);
    // It still runs what is no longer configured: the next plan says so, and going back changes nothing.
    expect(planOf(await client.reconcile({ dryRun: true }))).toEqual(['replace a']);
    system.configure([a]);
    expect(planOf(await client.reconcile())).toEqual(['keep a']);
    system.configure([{ ...a, configHash: '3' }]);
    expect(await client.reconcile()).toMatchObject({ failed: [] });
    expect((await client.status()).services).toMatchObject([{ state: 'ready', generation: 2 }]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('does nothing while the database is away', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0) };
    const { client } = await system.start([a]);
    await booted(client);
    await system.cutDatabase();
    await until('it noticed', async () => !(await client.status()).supervisor.acting);
    system.configure([]);
    await expect(client.reconcile()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    await system.restoreDatabase();
    await until('it is back', async () => (await client.status()).supervisor.acting);
    expect(planOf(await client.reconcile())).toEqual(['end a', 'drop a']);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('an invalid configuration at the boot', () => {
  it('adopts and keeps what runs, starts nothing, says so, and is healed by a reconcile', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0) };
    const b = { name: 'b', program: 'good', port: system.port(1) };
    const first = await system.start([a, b]);
    await booted(first.client);
    await written(2);
    const [before] = (await first.client.status()).services;
    await system.kill(first.process);
    const { pid } = await system.sql
      .query<{ pid: number }>("SELECT pid FROM services WHERE name = 'b'")
      .then(([row]) => row ?? { pid: 0 });
    process.kill(pid, 'SIGKILL');
    await until('b is dead', async () => (await markedProcesses(system.installation.id)).length === 1);

    // Whatever the files say now: even an artefact that would be outdated is kept.
    const c = { name: 'c', program: 'good', port: system.port(2) };
    system.configure([], [issue]);
    const second = await system.start([{ ...a, artefactHash: '2' }, b, c]);
    expect(await booted(second.client)).toMatchObject({
      refused: { code: 'CONFIG_INVALID', data: { issues: [issue] } },
    });
    const status = await second.client.status();
    expect(status.supervisor).toMatchObject({ state: 'running', configuration: { valid: false, issues: [issue] } });
    expect(status.services).toMatchObject([
      { name: 'a', state: 'ready', adopted: true, instanceId: before?.instanceId },
      { name: 'b', state: 'failed', lastError: expect.stringContaining('services/mcp/x.yaml:3:11 must be a number') },
    ]);
    // Nothing starts by order either, for as long as it is so.
    await expect(second.client.start()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(second.client.restart('a')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);

    system.configure([{ ...a, artefactHash: '2' }, b, c]);
    const healed = await second.client.reconcile();
    expect(planOf(healed)).toEqual(['replace a', 'start b', 'start c']);
    expect(healed.failed).toEqual([]);
    expect((await second.client.status()).supervisor.configuration).toMatchObject({ valid: true });
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('gives the calls of API processes their outcome: of one that died unseen, and of one on no record that a reconcile ends', async () => {
    const api = { name: 'api', kind: 'api', program: 'good', port: system.port(0) } as const;
    const b = { name: 'b', program: 'good', port: system.port(1) };
    const first = await system.start([api, b]);
    await booted(first.client);
    await written(2);
    const [before] = (await first.client.status()).services;
    await system.kill(first.process);
    process.kill(before?.pid ?? 0, 'SIGKILL');
    await until('the API is dead', async () => (await markedProcesses(system.installation.id)).length === 1);
    await stray('api', system.port(2));
    const unseen = (await markedProcesses(system.installation.id)).find(({ service }) => service === 'api');
    const dead = before?.instanceId ?? '';
    await system.sql.query('INSERT INTO audit.writers (instance) VALUES ($1), ($2)', [dead, unseen?.instanceId]);
    const closed = () =>
      system.sql
        .query<{ instance: string }>('SELECT instance FROM audit.writers WHERE closed_at IS NOT NULL')
        .then((rows) => rows.map(({ instance }) => instance));

    system.configure([], [issue]);
    const second = await system.start([api, b]);
    await booted(second.client);
    await until('what died is closed', async () => (await closed()).includes(dead));
    // It lives, and may still write.
    expect(await closed()).toEqual([dead]);

    system.configure([api, b]);
    expect(await second.client.reconcile()).toMatchObject({ failed: [] });
    await until('what was ended is closed', async () => (await closed()).includes(unseen?.instanceId ?? ''));
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('does not start from an unknown configuration what dies meanwhile; a start heals it', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0) };
    const first = await system.start([a]);
    await booted(first.client);
    await written(1);
    await system.kill(first.process);
    system.configure([], [issue]);
    const second = await system.start([a]);
    const { pid } = await system.state(second.client, 'a', ready);
    process.kill(pid ?? 0, 'SIGKILL');
    const { lastError } = await system.state(second.client, 'a', ({ state }) => state === 'failed');
    expect(lastError).toContain('not started while the configuration is invalid');
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    system.configure([a]);
    expect(await second.client.start(['a'])).toMatchObject({ failed: [], services: [{ name: 'a', state: 'ready' }] });
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('stops what was adopted, on order, in its usual way', async () => {
    const a = { name: 'a', program: 'forks', port: system.port(0) };
    const first = await system.start([a]);
    await booted(first.client);
    await written(1);
    await system.kill(first.process);
    system.configure([], [issue]);
    const second = await system.start([a]);
    await system.state(second.client, 'a', ready);
    await second.client.stop(['a'], { now: true });
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('ends as ever when nothing runs', async () => {
    system.configure([], [issue]);
    const child = system.spawn([{ name: 'a', program: 'good', port: system.port(0) }]);
    await until('it has ended', () => child.exitCode !== null);
    expect(system.log()).toContain('services/mcp/x.yaml:3:11');
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
