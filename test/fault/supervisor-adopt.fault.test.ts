import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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

describe('the supervisor survives itself', () => {
  it('adopts after its own SIGKILL what goes on serving: no restart, no twin', async () => {
    const services = [
      { name: 'a', program: 'good', port: system.port(0) },
      { name: 'b', program: 'good', port: system.port(1), dependsOn: ['a'] },
    ];
    const first = await system.start(services);
    const before = await Promise.all(['a', 'b'].map((name) => system.state(first.client, name, ready)));
    await until('rows are written', async () => (await rows()).every(({ state }) => state === 'ready'));
    await system.kill(first.process);
    for (const { port } of before) expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);

    const second = await system.start(services);
    const after = await Promise.all(['a', 'b'].map((name) => system.state(second.client, name, ready)));
    expect(after.map(({ pid, instanceId, generation, port }) => ({ pid, instanceId, generation, port }))).toEqual(
      before.map(({ pid, instanceId, generation, port }) => ({ pid, instanceId, generation, port })),
    );
    expect(after.every(({ adopted }) => adopted === true)).toBe(true);
    expect(await markedProcesses(system.installation.id)).toHaveLength(2);
    expect((await second.client.status()).supervisor.epoch).toBe(2);

    // An adopted process is watched like one of our own.
    process.kill(after[0]?.pid ?? 0, 'SIGKILL');
    await system.state(second.client, 'a', ({ state, generation }) => state === 'ready' && generation === 2);
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('gives time to what is busy just then: silent for one check, it is adopted', async () => {
    system.policy({ probeTimeoutMs: 1_500 });
    const service = { name: 'a', program: 'freezes', port: system.port(0), env: { GATE: system.gate } };
    const first = await system.start([service]);
    const before = await system.state(first.client, 'a', ready);
    await until('the row is written', async () => (await rows()).some(({ state }) => state === 'ready'));
    first.client.close();
    await system.kill(first.process);
    system.openGate();
    const second = await system.start([service]);
    await until('it looks', () => system.log().split('the epoch is ours').length === 3);
    await delay(2_000);
    rmSync(system.gate);
    const after = await system.state(second.client, 'a', ready);
    expect(after).toMatchObject({ adopted: true, instanceId: before.instanceId });
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('replaces what runs an outdated artefact', async () => {
    const service = { name: 'a', program: 'good', port: system.port(0) };
    const first = await system.start([service]);
    const before = await system.state(first.client, 'a', ready);
    await until('the row is written', async () => (await rows()).every(({ state }) => state === 'ready'));
    await system.kill(first.process);
    const second = await system.start([{ ...service, artefactHash: '2' }]);
    const after = await system.state(second.client, 'a', ready);
    expect(after.instanceId).not.toBe(before.instanceId);
    expect(after.generation).toBe(2);
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('ends and forgets what is no longer configured', async () => {
    const a = { name: 'a', program: 'good', port: system.port(0) };
    const first = await system.start([a, { name: 'b', program: 'good', port: system.port(1) }]);
    await system.state(first.client, 'b', ready);
    await system.state(first.client, 'a', ready);
    await until('rows are written', async () => (await rows()).every(({ state }) => state === 'ready'));
    await system.kill(first.process);
    const second = await system.start([a]);
    await system.state(second.client, 'a', ({ adopted }) => adopted === true);
    await until('one process is left', async () => (await markedProcesses(system.installation.id)).length === 1);
    await until('one row is left', async () => (await rows()).length === 1);
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('sweeps a process of ours that is on no record', async () => {
    const spec = fixtureSpec({ name: 'lost', program: 'good', port: system.port(5) });
    const instanceId = randomUUID() as ServiceInstanceId;
    const markers = {
      SYSTEMPROMPT_ROOT: system.folder,
      SYSTEMPROMPT_PROFILE: 'test',
      SYSTEMPROMPT_INSTANCE: system.installation.id,
      SYSTEMPROMPT_SERVICE: 'lost',
      SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
    };
    const command = await spec.command({ instanceId, port: system.port(5) });
    const orphan = await spawnService(command, markers, join(system.folder, 'orphan.log'));
    const { client } = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
    await system.state(client, 'a', ready);
    expect(await isAlive(orphan.identity)).toBe(false);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('never signals a recycled pid: a row edited to a stranger is cleared', async () => {
    const service = { name: 'a', program: 'good', port: system.port(0) };
    const first = await system.start([service]);
    await system.state(first.client, 'a', ready);
    await until('the row is written', async () => (await rows()).every(({ state }) => state === 'ready'));
    const { pid } = await system.state(first.client, 'a', ready);
    await system.kill(first.process);
    process.kill(pid ?? 0, 'SIGKILL');
    let signals = 0;
    const count = (): void => {
      signals += 1;
    };
    for (const name of ['SIGTERM', 'SIGCONT', 'SIGHUP'] as const) process.on(name, count);
    const self = await identify(process.pid);
    await system.sql.query('UPDATE services SET pid = $1, start_ticks = $2, boot_id = $3', [
      self?.pid,
      self?.startTicks,
      self?.bootId,
    ]);
    const second = await system.start([service]);
    const after = await system.state(second.client, 'a', ready);
    expect(after.generation).toBe(2);
    await system.stop(second.client);
    for (const name of ['SIGTERM', 'SIGCONT', 'SIGHUP'] as const) process.off(name, count);
    expect(signals).toBe(0);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('keeps stopped what somebody stopped by name', async () => {
    const services = [
      { name: 'a', program: 'good', port: system.port(0) },
      { name: 'b', program: 'good', port: system.port(1) },
    ];
    const first = await system.start(services);
    await system.state(first.client, 'b', ready);
    await system.state(first.client, 'a', ready);
    await first.client.stop(['b']);
    await until('the row says so', async () =>
      (await rows()).some(({ name, state }) => name === 'b' && state === 'stopped'),
    );
    await system.kill(first.process);
    const second = await system.start(services);
    await system.state(second.client, 'a', ({ adopted }) => adopted === true);
    expect((await second.client.status()).services.find(({ name }) => name === 'b')?.state).toBe('stopped');
    await second.client.start(['b']);
    await system.state(second.client, 'b', ready);
    await system.stop(second.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('two supervisors of one installation', () => {
  it('one acts, the other says who does and ends', async () => {
    const services = [{ name: 'a', program: 'good', port: system.port(0) }];
    const first = await system.start(services);
    await system.state(first.client, 'a', ready);
    const other = system.spawn(services);
    const [code] = (await once(other, 'exit')) as [number];
    expect(code).toBe(1);
    expect(system.log()).toContain(`supervisor ${first.process.pid}`);
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    await system.stop(first.client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('of many that start over a dead one’s socket exactly one acts', async () => {
    const services = [{ name: 'a', program: 'good', port: system.port(0) }];
    const first = await system.start(services);
    await system.state(first.client, 'a', ready);
    await until('the row is written', async () => (await rows()).every(({ state }) => state === 'ready'));
    await system.kill(first.process);
    const racers = [1, 2, 3].map(() => system.spawn(services));
    const losers = await until('two have ended', () => {
      const ended = racers.filter(({ exitCode }) => exitCode !== null);
      return ended.length >= 2 ? ended : undefined;
    });
    expect(losers).toHaveLength(2);
    const { client } = { client: await connected() };
    await system.state(client, 'a', ({ adopted }) => adopted === true);
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('stops acting when a newer epoch is taken, and leaves the services alone', async () => {
    const first = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
    const { pid } = await system.state(first.client, 'a', ready);
    const identity = await identify(pid ?? 0);
    const ended = once(first.process, 'exit');
    await system.sql.query('UPDATE supervisor_epoch SET epoch = epoch + 1');
    await until('it noticed', async () => {
      const status = await first.client.status();
      return !status.supervisor.acting;
    });
    process.kill(pid ?? 0, 'SIGKILL');
    await until('it is dead', async () => identity !== undefined && !(await isAlive(identity)));
    // It sees the death and does nothing about it.
    await system.state(first.client, 'a', ({ state, generation }) => state === 'starting' && generation === 2);
    await first.client.shutdown();
    await ended;
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

function rows(): Promise<{ name: string; state: string }[]> {
  return system.sql.query('SELECT name, state FROM services ORDER BY name');
}

async function connected() {
  const { SupervisorClient } = await import('../../src/lib/app/supervisor/client.ts');
  return SupervisorClient.connect(system.socket);
}
