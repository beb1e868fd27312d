import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceStatus } from '../../src/lib/app/supervisor/status.ts';
import { identify } from '../../src/lib/infra/process/identity.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import type { FixtureService } from '../helpers/fixture-services.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { Supervised } from '../helpers/supervised.ts';
import { until } from '../helpers/until.ts';

// Orders that overlap: the later one counts, and none leaves a process that nobody has in care.

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(() => system.remove());

const ready = ({ state }: ServiceStatus) => state === 'ready';
const stopping = ({ state }: ServiceStatus) => state === 'stopping';

const slow = (name: string, port: number): FixtureService => ({
  name,
  program: 'ignores-term',
  port: system.port(port),
  graceMs: 1_500,
});
const good = (name: string, port: number): FixtureService => ({ name, program: 'good', port: system.port(port) });

describe('while everything is being restarted', () => {
  it('a stop of the system is the last word: nothing is started any more', async () => {
    system.policy({ parallelStarts: 1 });
    const { client } = await system.start([slow('a', 0), good('b', 1)]);
    await system.state(client, 'b', ready);
    const restarted = client.restart().catch(() => undefined);
    await system.state(client, 'a', stopping);
    await system.stop(client);
    await restarted;
    expect(await markedProcesses(system.installation.id)).toEqual([]);
    expect(system.log()).not.toMatch(/"generation":2,"msg":"b is starting"/);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('what somebody stops by name meanwhile stays stopped', async () => {
    system.policy({ parallelStarts: 1 });
    const { client } = await system.start([slow('a', 0), good('b', 1)]);
    await system.state(client, 'b', ready);
    const restarted = client.restart();
    await system.state(client, 'a', stopping);
    await client.stop(['b']);
    await restarted;
    expect((await client.status()).services).toMatchObject([{ state: 'ready' }, { state: 'stopped', generation: 1 }]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('while everything is being stopped by order', () => {
  it('a start is the last word, also for what was not stopped yet', async () => {
    const { client } = await system.start([good('a', 0), { ...slow('b', 1), dependsOn: ['a'] }]);
    const a = await system.state(client, 'a', ready);
    await system.state(client, 'b', ready);
    const stopped = client.stop();
    await system.state(client, 'b', stopping);
    expect((await client.start()).failed).toEqual([]);
    await stopped;
    expect((await client.status()).services).toMatchObject([
      { name: 'a', state: 'ready', instanceId: a.instanceId },
      { name: 'b', state: 'ready', generation: 2 },
    ]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('while a reconcile is carried out', () => {
  it('what somebody stops by name stays stopped, and is none of the failed', async () => {
    const { client } = await system.start([slow('a', 0), good('b', 1)]);
    await until('it has booted', async () => (await client.status()).supervisor.state === 'running');
    system.configure([{ ...good('b', 1), configHash: '2' }]);
    const reconciled = client.reconcile();
    await system.state(client, 'a', stopping);
    await client.stop(['b']);
    expect((await reconciled).failed).toEqual([]);
    expect((await client.status()).services).toMatchObject([{ name: 'b', state: 'stopped', generation: 1 }]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('while the system boots', () => {
  it('what somebody stops by name is not started', async () => {
    system.policy({ parallelStarts: 1 });
    const late: FixtureService = { name: 'a', program: 'late', port: system.port(0), env: { GATE: system.gate } };
    const { client } = await system.start([late, good('b', 1)]);
    await system.state(client, 'a', ({ state, pid }) => state === 'starting' && pid !== undefined);
    await client.stop(['b']);
    system.openGate();
    await until('it has booted', async () => (await client.status()).supervisor.state === 'running');
    expect((await client.status()).services).toMatchObject([{ state: 'ready' }, { state: 'stopped', generation: 0 }]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('the bound of a stop', () => {
  it('says nothing about a hand-over that comes after it: the old process drains to its end', async () => {
    const stopAllMs = 4_000;
    system.policy({ stopAllMs, resetAfterReadyMs: 60_000 });
    const { client } = await system.start([
      {
        name: 'm',
        program: 'drains',
        port: system.port(0),
        range: system.ports,
        handOver: true,
        graceMs: 60_000,
        env: { GATE: system.gate },
      },
    ]);
    await system.state(client, 'm', ready);
    system.openGate();
    const since = performance.now();
    await client.stop(['m']);
    rmSync(system.gate);
    await client.start(['m']);
    const old = await system.state(client, 'm', ready);
    const restarted = client.restart(['m']);
    await system.state(client, 'm', ({ instanceId }) => instanceId !== old.instanceId);
    await delay(Math.max(0, since + stopAllMs + 500 - performance.now()));
    expect(await identify(old.pid ?? 0)).toBeDefined();
    system.openGate();
    expect((await restarted).failed).toEqual([]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('another supervisor takes over', () => {
  it('in the midst of a stop: it ends at once, and leaves alone what it has not ended', async () => {
    const { client, process: supervisor } = await system.start([good('a', 0), { ...slow('b', 1), dependsOn: ['a'] }]);
    const a = await system.state(client, 'a', ready);
    await system.state(client, 'b', ready);
    const order = client.shutdown().catch(() => undefined);
    await system.state(client, 'b', stopping);
    await system.sql.query('UPDATE supervisor_epoch SET epoch = epoch + 1');
    await until('it ends', () => supervisor.exitCode !== null);
    await order;
    client.close();
    expect(await identify(a.pid ?? 0)).toBeDefined();
  }, 20_000);

  it('in the midst of a boot: it ends, and starts nothing more', async () => {
    system.policy({ parallelStarts: 1 });
    const late: FixtureService = { name: 'a', program: 'late', port: system.port(0), env: { GATE: system.gate } };
    const { client, process: supervisor } = await system.start([late, good('b', 1)]);
    await system.state(client, 'a', ({ state, pid }) => state === 'starting' && pid !== undefined);
    await system.sql.query('UPDATE supervisor_epoch SET epoch = epoch + 1');
    await until('it ends', () => supervisor.exitCode !== null);
    client.close();
    expect(system.log()).not.toMatch(/"b is starting"/);
  }, 20_000);
});

describe('a start whose dependency fails', () => {
  it('leaves alone what is starting by itself', async () => {
    mkdirSync(join(system.folder, 'runs'));
    const { client } = await system.start([
      {
        name: 'd',
        program: 'turns',
        port: system.port(0),
        env: { RUNS: join(system.folder, 'runs'), LATER: 'invalid', GATE: system.gate },
      },
      {
        name: 'm',
        program: 'late',
        port: system.port(1),
        dependsOn: ['d'],
        readyTimeoutMs: 60_000,
        env: { GATE: system.gate },
      },
    ]);
    const m = await system.state(client, 'm', ({ state, pid }) => state === 'starting' && pid !== undefined);
    const d = await system.state(client, 'd', ready);
    process.kill(d.pid ?? 0, 'SIGKILL');
    await system.state(client, 'd', ({ state }) => state === 'failed');
    const started = client.start(['m']).catch(() => undefined);
    await system.state(client, 'd', ({ state, generation }) => state === 'failed' && generation > d.generation + 1);
    system.openGate();
    await started;
    expect(await system.state(client, 'm', ({ state }) => state !== 'starting')).toMatchObject({
      state: 'ready',
      pid: m.pid,
    });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('many processes that have to go at a boot', () => {
  it('are ended side by side: five that take no notice cost one grace', async () => {
    const five = (artefactHash: string): FixtureService[] =>
      [0, 1, 2, 3, 4].map((index) => ({ ...slow(`s${index}`, index), artefactHash, graceMs: 2_000 }));
    const { client, process: supervisor } = await system.start(five('1'));
    await until('all are ready', async () => (await client.status()).services.every(ready));
    await until('rows are written', async () => {
      const rows = await system.sql.query("SELECT name FROM services WHERE state = 'ready'");
      return rows.length === 5;
    });
    client.close();
    await system.kill(supervisor);
    const next = await system.start(five('2').map((service) => ({ ...service, program: 'good' })));
    await until('it has booted', async () => (await next.client.status()).supervisor.state === 'running', 30_000);
    const { phases } = await next.client.status();
    expect(phases.find(({ name }) => name === 'reconcile')?.ms).toBeLessThan(8_000);
    await system.stop(next.client);
    expect(await system.footprint()).toEqual(noFootprint);
  }, 60_000);
});
