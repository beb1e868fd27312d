import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceStatus } from '../../src/lib/app/supervisor/status.ts';
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

const ready = ({ state }: ServiceStatus): boolean => state === 'ready';
const overLimit = /^memory \d+ MB over its limit of 160 MB$/;

function transitions(): Promise<{ to_state: string; event: string; reason: string }[]> {
  return system.sql.query('SELECT to_state, event, reason FROM service_events WHERE reason IS NOT NULL ORDER BY id');
}

describe('promise 11, limits', () => {
  it.each([
    ['a service', 'no'],
    ['what it started', 'yes'],
  ])('memory of %s over the limit: it is asked to stop and started again, with the reason', async (_who, FORKED) => {
    const { client } = await system.start([
      {
        name: 'm',
        program: 'leaks',
        port: system.port(0),
        env: { GATE: system.gate, FORKED },
        limits: { memory_mb: 160 },
      },
    ]);
    const first = await system.state(
      client,
      'm',
      ({ state, resources }) => state === 'ready' && resources !== undefined,
    );
    expect(first.resources).toMatchObject({
      limits: { memoryBytes: 160 * 1024 * 1024 },
      openFiles: expect.any(Number),
    });
    expect(first.resources?.rssBytes).toBeGreaterThan(20 * 1024 * 1024);
    expect(first.resources?.rssBytes).toBeLessThan(160 * 1024 * 1024);
    system.openGate();
    const second = await system.state(client, 'm', ({ generation, state }) => {
      if (generation >= 2) rmSync(system.gate, { force: true });
      return generation >= 2 && state === 'ready';
    });
    expect(second.instanceId).not.toBe(first.instanceId);
    expect(second.restarts).toBeGreaterThan(0);
    expect(second.lastExit).toEqual({ code: 0, signal: null });
    const events = await until('its events are written', async () => {
      const rows = await transitions();
      return rows.length >= 2 ? rows : undefined;
    });
    expect(events.slice(0, 2)).toMatchObject([
      { to_state: 'unhealthy', event: 'unhealthy', reason: expect.stringMatching(overLimit) },
      { to_state: 'backoff', event: 'died', reason: expect.stringMatching(overLimit) },
    ]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('memory of what lasted a while over the limit: it hands over, and the restart is counted', async () => {
    system.policy({ resetAfterReadyMs: 0 });
    const { client } = await system.start([
      {
        name: 'm',
        program: 'leaks',
        port: system.port(0),
        range: system.ports,
        env: { GATE: system.gate, FORKED: 'no' },
        handOver: true,
        limits: { memory_mb: 160 },
      },
    ]);
    const first = await system.state(client, 'm', ready);
    system.openGate();
    const second = await system.state(client, 'm', ({ generation }) => {
      if (generation >= 2) rmSync(system.gate, { force: true });
      return generation >= 2;
    });
    expect(second.port).not.toBe(first.port);
    expect(second.restarts).toBeGreaterThan(0);
    const [event] = await until('its event is written', async () => {
      const rows = await transitions();
      return rows.length > 0 ? rows : undefined;
    });
    expect(event).toMatchObject({ to_state: 'ready', event: 'replaced', reason: expect.stringMatching(overLimit) });
    await system.state(client, 'm', ready);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('a limit of memory that comes with a reconcile holds for what runs already', async () => {
    const service = { name: 'm', program: 'leaks', port: system.port(0), env: { GATE: system.gate, FORKED: 'no' } };
    const { client } = await system.start([service]);
    await until('it has booted', async () => (await client.status()).supervisor.state === 'running');
    const first = await system.state(client, 'm', ready);
    system.configure([{ ...service, limits: { memory_mb: 160 } }]);
    expect((await client.reconcile()).steps).toMatchObject([{ kind: 'keep', name: 'm' }]);
    system.openGate();
    const second = await system.state(client, 'm', ({ generation, state }) => {
      if (generation >= 2) rmSync(system.gate, { force: true });
      return generation >= 2 && state === 'ready';
    });
    expect(second.instanceId).not.toBe(first.instanceId);
    expect(second.resources?.limits ?? { memoryBytes: 160 * 1024 * 1024 }).toEqual({ memoryBytes: 160 * 1024 * 1024 });
    const events = await until('its events are written', async () => {
      const rows = await transitions();
      return rows.length >= 1 ? rows : undefined;
    });
    expect(events[0]?.reason).toMatch(overLimit);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('open files and niceness hold for the process and for each of its threads', async () => {
    const { client } = await system.start([
      { name: 'n', program: 'good', port: system.port(0), limits: { open_files: 123, nice: 7 } },
    ]);
    const { pid = 0, resources } = await system.state(client, 'n', (status) => status.resources !== undefined);
    expect(resources?.limits).toEqual({ openFiles: 123, nice: 7 });
    if (process.platform === 'linux') {
      expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max open files\s+123\s+123\s/m);
      const threads = readdirSync(`/proc/${pid}/task`).map(Number);
      expect(threads.length).toBeGreaterThan(1);
      expect(new Set(threads.map((thread) => getPriority(thread)))).toEqual(new Set([7]));
    }
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
