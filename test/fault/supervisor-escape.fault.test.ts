import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identify, isAlive, type ProcessIdentity } from '../../src/lib/infra/process/identity.ts';
import { tailLines } from '../../src/lib/infra/process/log-tail.ts';
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

/** The process that a fixture named in its first line of output. */
async function announced(name: string, instanceId: string | undefined): Promise<ProcessIdentity> {
  const file = join(system.installation.logsDir, name, `${instanceId}.log`);
  return until('a line with a pid', () => {
    const pid = Number(/ (\d+)$/.exec(tailLines(file, 1)[0] ?? '')?.[1]);
    return Number.isSafeInteger(pid) ? identify(pid) : undefined;
  });
}

describe('nothing escapes', () => {
  it('kills at the end of its grace a service that ignores SIGTERM', async () => {
    const { client } = await system.start([
      { name: 'deaf', program: 'ignores-term', port: system.port(0), graceMs: 400 },
    ]);
    await system.state(client, 'deaf', ({ state }) => state === 'ready');
    const since = performance.now();
    const { failed } = await client.stop(['deaf']);
    const took = performance.now() - since;
    expect(failed).toEqual([]);
    expect(took).toBeGreaterThan(390);
    expect(took).toBeLessThan(900);
    const [deaf] = (await client.status()).services;
    expect(deaf).toMatchObject({ state: 'stopped', lastExit: { code: null, signal: 'SIGKILL' } });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('ends a grandchild together with its leader, also when the leader is killed from outside', async () => {
    const { client } = await system.start([{ name: 'tree', program: 'forks', port: system.port(0), graceMs: 200 }]);
    const first = await system.state(client, 'tree', ({ state }) => state === 'ready');
    const grandchild = await announced('tree', first.instanceId);
    process.kill(first.pid ?? 0, 'SIGKILL');
    const second = await system.state(client, 'tree', ({ state, generation }) => state === 'ready' && generation === 2);
    expect(await isAlive(grandchild)).toBe(false);
    expect(second).toMatchObject({ restarts: 1, lastExit: { code: null, signal: 'SIGKILL' } });
    const next = await announced('tree', second.instanceId);
    await client.stop(['tree']);
    expect(await isAlive(next)).toBe(false);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('ends a daemon that left the group by setsid', async () => {
    const { client } = await system.start([{ name: 'daemon', program: 'escapes', port: system.port(0) }]);
    const { instanceId } = await system.state(client, 'daemon', ({ state }) => state === 'ready');
    const escaped = await announced('daemon', instanceId);
    expect(await isAlive(escaped)).toBe(true);
    await client.stop(['daemon']);
    expect(await isAlive(escaped)).toBe(false);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('stops a service that is itself stopped by SIGSTOP', async () => {
    const { client } = await system.start([{ name: 'frozen', program: 'good', port: system.port(0), graceMs: 5_000 }]);
    const { pid } = await system.state(client, 'frozen', ({ state }) => state === 'ready');
    process.kill(pid ?? 0, 'SIGSTOP');
    const since = performance.now();
    await client.stop(['frozen']);
    expect(performance.now() - since).toBeLessThan(4_000);
    expect((await client.status()).services[0]).toMatchObject({
      state: 'stopped',
      lastExit: { code: 0, signal: null },
    });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('finds by its port what carries another run’s id: the process that really listens', async () => {
    const { client } = await system.start([{ name: 'heir', program: 'hands-on', port: system.port(0) }]);
    const { instanceId } = await system.state(client, 'heir', ({ state }) => state === 'ready');
    const listener = await announced('heir', instanceId);
    expect(await isAlive(listener)).toBe(true);
    expect(await client.stop(['heir'])).toMatchObject({ failed: [] });
    expect(await isAlive(listener)).toBe(false);
    expect(system.log()).toContain(`process ${listener.pid} still listened on port ${system.port(0)}`);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('names a stranger on the port of what it stopped, and leaves him alone', async () => {
    const { client } = await system.start([
      { name: 'late', program: 'late', port: system.port(0), env: { GATE: system.gate } },
    ]);
    await system.state(client, 'late', ({ state, pid }) => state === 'starting' && pid !== undefined);
    const stranger = createServer((_, response) => response.end('mine')).listen(system.port(0), '127.0.0.1');
    await once(stranger, 'listening');
    expect(await client.stop(['late'])).toMatchObject({ failed: [] });
    expect(system.log()).toContain(`port ${system.port(0)} is held by process ${process.pid} (`);
    expect(await (await fetch(`http://127.0.0.1:${system.port(0)}`)).text()).toBe('mine');
    stranger.closeAllConnections();
    await new Promise((resolve) => stranger.close(resolve));
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it.each(['by name', 'as a whole'])(
    'bounds a stop over everything, whatever grace each service has: %s',
    async (how) => {
      system.policy({ stopAllMs: 300 });
      const deaf = { program: 'ignores-term', graceMs: 60_000 };
      const { client } = await system.start([
        { name: 'a', ...deaf, port: system.port(0) },
        { name: 'b', ...deaf, port: system.port(1), dependsOn: ['a'] },
      ]);
      await system.state(client, 'b', ({ state }) => state === 'ready');
      const since = performance.now();
      if (how === 'by name') await client.stop();
      else await client.shutdown();
      expect(performance.now() - since).toBeLessThan(20_000);
      if (how === 'by name') await client.shutdown();
      client.close();
      await system.ended();
      expect(await system.footprint()).toEqual(noFootprint);
    },
  );

  it('ends at once on the second order to stop', async () => {
    const { client } = await system.start([
      { name: 'deaf', program: 'ignores-term', port: system.port(0), graceMs: 60_000 },
    ]);
    await system.state(client, 'deaf', ({ state }) => state === 'ready');
    await client.request('POST', '/v1/shutdown', {});
    await system.state(client, 'deaf', ({ state }) => state === 'stopping');
    const since = performance.now();
    await client.shutdown(true);
    expect(performance.now() - since).toBeLessThan(2_000);
    client.close();
    await system.ended();
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
