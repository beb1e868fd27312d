import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
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
const runs = async (): Promise<number> => {
  const marked = await markedProcesses(system.installation.id);
  return new Set(marked.map(({ instanceId }) => instanceId)).size;
};

describe('a stop during the start of a service', () => {
  it('is clean, however early the signal comes: no error, no further try', async () => {
    const { client } = await system.start([
      { name: 'late', program: 'late', port: system.port(0), env: { GATE: system.gate } },
    ]);
    for (let round = 0; round < 5; round += 1) {
      // The first look that shows a pid is milliseconds after its spawn: no handler of the program's own is there yet.
      const { generation } = await system.state(
        client,
        'late',
        ({ state, pid }) => state === 'starting' && pid !== undefined,
      );
      expect((await client.stop(['late'])).failed).toEqual([]);
      const [stopped] = (await client.status()).services;
      expect(stopped).toMatchObject({ state: 'stopped', generation, lastExit: { code: null, signal: 'SIGTERM' } });
      expect(stopped?.lastError).toBeUndefined();
      expect(await runs()).toBe(0);
      void client.start(['late']).catch(() => {});
    }
    await system.state(client, 'late', ({ state }) => state === 'starting');
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('a stranger takes the port between its choice and the service’s bind', () => {
  it('the next try takes another one; the stranger is left alone', async () => {
    const { client } = await system.start([
      { name: 'late', program: 'late', port: system.port(0), range: system.ports, env: { GATE: system.gate } },
    ]);
    const before = await system.state(client, 'late', ({ state, pid }) => state === 'starting' && pid !== undefined);
    const stranger = createServer((_, response) => response.end('mine'));
    stranger.listen(system.port(0), '127.0.0.1');
    await once(stranger, 'listening');
    system.openGate();
    const after = await system.state(client, 'late', ready);
    expect(after.port).not.toBe(system.port(0));
    expect(after.generation).toBeGreaterThan(before.generation);
    expect(await (await fetch(`http://127.0.0.1:${system.port(0)}`)).text()).toBe('mine');
    await system.stop(client);
    await new Promise((resolve) => stranger.close(resolve));
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('a service whose port is fixed fails, and names who has it', async () => {
    const { client } = await system.start([
      { name: 'late', program: 'late', port: system.port(0), env: { GATE: system.gate } },
    ]);
    await system.state(client, 'late', ({ state, pid }) => state === 'starting' && pid !== undefined);
    const stranger = createServer((_, response) => response.end('mine'));
    stranger.listen(system.port(0), '127.0.0.1');
    await once(stranger, 'listening');
    system.openGate();
    const { lastError } = await system.state(client, 'late', ({ state }) => state === 'failed');
    expect(lastError).toContain(`is taken by process ${process.pid}`);
    expect(await (await fetch(`http://127.0.0.1:${system.port(0)}`)).text()).toBe('mine');
    await system.stop(client);
    await new Promise((resolve) => stranger.close(resolve));
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('two clients that give contrary orders', () => {
  // A row of orders by chance, the same at each run: what counts is that all of them overlap.
  it.each([1, 2, 3])('never run two at once, and the last order counts (%d)', async (seed) => {
    const { client } = await system.start([{ name: 'a', program: 'good', port: system.port(0), range: system.ports }]);
    const other = await SupervisorClient.connect(system.socket);
    await system.state(client, 'a', ready);
    let most = 0;
    let busy = true;
    const watching = (async () => {
      while (busy) {
        most = Math.max(most, await runs());
        await delay(5);
      }
    })();
    let state = seed;
    const chance = (): number => {
      state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
      return state / 2 ** 31;
    };
    const orders: Promise<unknown>[] = [];
    for (let turn = 0; turn < 40; turn += 1) {
      const from = chance() < 0.5 ? client : other;
      const given = chance() < 0.5 ? from.start(['a']) : from.stop(['a']);
      orders.push(given.catch(() => undefined));
      if (chance() < 0.3) await given.catch(() => undefined);
    }
    await client.stop(['a']);
    expect((await client.status()).services).toMatchObject([{ state: 'stopped' }]);
    expect(await runs()).toBe(0);
    await Promise.all(orders);
    expect(await runs()).toBe(0);
    await Promise.all([client.stop(['a']), client.stop(['a']).then(() => other.start(['a']))]);
    await system.state(client, 'a', ready);
    busy = false;
    await watching;
    expect(most).toBe(1);
    expect(await runs()).toBe(1);
    other.close();
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('a client that is gone', () => {
  it('does not take its order with it', async () => {
    const { client } = await system.start([
      { name: 'late', program: 'late', port: system.port(0), env: { GATE: system.gate } },
    ]);
    await client.stop(['late']);
    const other = await SupervisorClient.connect(system.socket);
    const order = other.start(['late']).catch((error: unknown) => error);
    await system.state(client, 'late', ({ state, pid }) => state === 'starting' && pid !== undefined);
    other.close();
    await order;
    system.openGate();
    await system.state(client, 'late', ready);
    await until('one runs', async () => (await runs()) === 1);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
