import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceStatus } from '../../src/lib/app/supervisor/status.ts';
import { identify } from '../../src/lib/infra/process/identity.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import type { FixtureService } from '../helpers/fixture-services.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { Supervised } from '../helpers/supervised.ts';
import { until } from '../helpers/until.ts';

// A restart of a service that can have two processes: the next one is ready before the old one is told to end.

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
  mkdirSync(join(system.folder, 'runs'));
});
afterEach(() => system.remove());

const ready = ({ state }: ServiceStatus) => state === 'ready';
const backoff = ({ state }: ServiceStatus) => state === 'backoff';

/** A service whose first run is good, and whose later ones are as told. */
function service(later?: 'crash' | 'invalid' | 'hang' | 'gate'): FixtureService {
  return {
    name: 'm',
    program: 'turns',
    port: system.port(0),
    range: system.ports,
    handOver: true,
    readyTimeoutMs: later === 'hang' ? 700 : 20_000,
    env: { RUNS: join(system.folder, 'runs'), GATE: system.gate, ...(later === undefined ? {} : { LATER: later }) },
  };
}

/** Waits until a successor runs beside the first process. */
async function successor(first: ServiceStatus): Promise<number> {
  const found = await until('a successor runs', async () => {
    const marked = await markedProcesses(system.installation.id);
    return readdirSync(join(system.folder, 'runs')).length === 2
      ? marked.find(({ instanceId }) => instanceId !== first.instanceId)
      : undefined;
  });
  return found.identity.pid;
}

async function isGone(pid: number): Promise<void> {
  await until(`${pid} is gone`, async () => (await identify(pid)) === undefined);
}

const rowOf = async () =>
  (
    await system.sql.query<{ state: string; instance_id: string; port: number; pid: number; generation: number }>(
      'SELECT state, instance_id, port, pid, generation FROM services',
    )
  )[0];

describe('hand-over', () => {
  it('a successor is ready on another port before the old process ends, and the row says so first', async () => {
    const { client } = await system.start([service()]);
    const first = await system.state(client, 'm', ready);
    expect(first.port).toBe(system.port(0));
    const { failed, services } = await client.restart(['m']);
    expect(failed).toEqual([]);
    const [second] = services;
    expect(second).toMatchObject({ state: 'ready', generation: 2, restarts: 0, port: system.port(1) });
    expect(second?.beside).toBeUndefined();
    expect(second?.instanceId).not.toBe(first.instanceId);
    expect(await identify(first.pid ?? 0)).toBeUndefined();
    expect(await rowOf()).toMatchObject({ state: 'ready', generation: 2, port: second?.port, pid: second?.pid });
    const events = await system.sql.query<{ event: string }>('SELECT event FROM service_events ORDER BY id');
    expect(events.map(({ event }) => event)).toEqual(['start', 'healthy', 'replaced']);
    // And back: a port that was given up is free for the next.
    expect((await client.restart(['m'])).services[0]).toMatchObject({ generation: 3, port: system.port(0) });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it.each([
    ['crash', 'ended with exit code 3', undefined],
    ['invalid', 'found its configuration invalid', 'PRECONDITION'],
    ['hang', 'not ready within 700 ms', 'TIMEOUT'],
  ] as const)('a successor that does not become ready (%s) leaves the old one serving', async (later, reason, code) => {
    const { client } = await system.start([service(later)]);
    const first = await system.state(client, 'm', ready);
    const { failed, services, lines } = await client.restart(['m']);
    expect(failed).toEqual(['m']);
    expect(lines?.['m']?.join()).toContain(`the successor says: ${later}`);
    expect(services[0]).toMatchObject({ state: 'ready', generation: 1, instanceId: first.instanceId, pid: first.pid });
    expect(services[0]?.lastError).toContain(reason);
    expect(services[0]?.lastErrorCode).toBe(code);
    const health = (await (await fetch(`http://127.0.0.1:${first.port}/healthz`)).json()) as { instanceId: string };
    expect(health.instanceId).toBe(first.instanceId);
    expect((await markedProcesses(system.installation.id)).map(({ instanceId }) => instanceId)).toEqual([
      first.instanceId,
    ]);
    // What is found to be as configured has nothing against it any more.
    const { steps, services: kept } = await client.reconcile();
    expect(steps).toMatchObject([{ kind: 'keep', name: 'm' }]);
    expect(kept[0]?.lastError).toBeUndefined();
    await until('the row says so too', async () => {
      const rows = await system.sql.query<{ last_error: string | null }>('SELECT last_error FROM services');
      return rows[0]?.last_error === null;
    });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('a successor whose port another program took meanwhile comes on the next one', async () => {
    const { client } = await system.start([service('gate')]);
    const first = await system.state(client, 'm', ready);
    const restarted = client.restart(['m']);
    await successor(first);
    const other = createServer().listen(system.port(1), '127.0.0.1');
    try {
      await once(other, 'listening');
      system.openGate();
      const { failed, services } = await restarted;
      expect(failed).toEqual([]);
      expect(services[0]).toMatchObject({ state: 'ready', generation: 2, port: system.port(2) });
    } finally {
      other.close();
    }
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('a stop during the hand-over ends both', async () => {
    const { client } = await system.start([service('gate')]);
    const first = await system.state(client, 'm', ready);
    const restarted = client.restart(['m']);
    const pid = await successor(first);
    expect((await client.status()).services[0]).toMatchObject({ state: 'ready', beside: [{ pid }] });
    await client.stop(['m']);
    expect((await client.status()).services[0]).toMatchObject({ state: 'stopped', generation: 1 });
    expect(await markedProcesses(system.installation.id)).toEqual([]);
    const result = await restarted;
    expect(result).toMatchObject({ failed: ['m'], overtaken: ['m'] });
    expect(result.lines).toBeUndefined();
    system.openGate();
    await client.start(['m']);
    expect((await client.status()).services[0]).toMatchObject({ state: 'ready', generation: 2 });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('a successor takes the place of a run that died meanwhile, and no third one is started', async () => {
    const { client } = await system.start([service('gate')]);
    const first = await system.state(client, 'm', ready);
    const restarted = client.restart(['m']);
    const pid = await successor(first);
    process.kill(first.pid ?? 0, 'SIGKILL');
    await system.state(client, 'm', backoff);
    system.openGate();
    expect((await restarted).failed).toEqual([]);
    expect((await client.status()).services[0]).toMatchObject({ state: 'ready', generation: 2, pid });
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    expect(readdirSync(join(system.folder, 'runs'))).toHaveLength(2);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('when its supervisor is killed meanwhile the next one keeps the run on record and ends the other', async () => {
    const { process: supervisor, client } = await system.start([service('gate')]);
    const first = await system.state(client, 'm', ready);
    const restarted = client.restart(['m']).catch(() => undefined);
    const pid = await successor(first);
    await system.kill(supervisor);
    await restarted;
    const { client: next } = await system.start([service('gate')]);
    const kept = await system.state(next, 'm', ready);
    expect(kept).toMatchObject({ instanceId: first.instanceId, pid: first.pid, adopted: true });
    await isGone(pid);
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    await system.stop(next);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('when its supervisor is killed after the row has changed the next one keeps the successor', async () => {
    // The old one is given time, which is when the supervisor is killed.
    system.policy({ routeSettleMs: 60_000 });
    const { process: supervisor, client } = await system.start([service()]);
    const first = await system.state(client, 'm', ready);
    const restarted = client.restart(['m']).catch(() => undefined);
    await until('the row has changed', async () => (await rowOf())?.generation === 2);
    expect(await identify(first.pid ?? 0)).toBeDefined();
    await system.kill(supervisor);
    await restarted;
    const { client: next } = await system.start([service()]);
    const kept = await system.state(next, 'm', ready);
    expect(kept).toMatchObject({ adopted: true, generation: 2 });
    expect(kept.pid).not.toBe(first.pid);
    await isGone(first.pid ?? 0);
    expect(await markedProcesses(system.installation.id)).toHaveLength(1);
    await system.stop(next);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('the old process goes on until the change of the row is committed', async () => {
    const { client } = await system.start([service('gate')]);
    const first = await system.state(client, 'm', ready);
    const restarted = client.restart(['m']);
    const pid = await successor(first);
    await system.cutDatabase();
    await until('it noticed', async () => !(await client.status()).supervisor.acting);
    system.openGate();
    await system.state(client, 'm', ({ generation }) => generation === 2);
    for (const each of [first.pid ?? 0, pid]) expect(await identify(each)).toBeDefined();
    await system.restoreDatabase();
    expect((await restarted).failed).toEqual([]);
    expect(await rowOf()).toMatchObject({ generation: 2, pid });
    await isGone(first.pid ?? 0);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
