import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
const failed = ({ state }: { state: string }): boolean => state === 'failed';

describe('a controlled start', () => {
  it('is not ready before the service answers with its own id', async () => {
    const { client } = await system.start([
      { name: 'late', program: 'late', port: system.port(0), env: { GATE: system.gate } },
    ]);
    await system.state(client, 'late', ({ state, pid }) => state === 'starting' && pid !== undefined);
    system.openGate();
    const { readyMs } = await system.state(client, 'late', ready);
    expect(readyMs).toBeGreaterThan(0);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('refuses the health of an impostor', async () => {
    const { client } = await system.start([
      { name: 'i', program: 'impostor', port: system.port(0), readyTimeoutMs: 700 },
    ]);
    const { lastError } = await system.state(client, 'i', failed);
    expect(lastError).toContain('is answered by another process');
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('counts a ready timeout as a failure, and leaves no process behind', async () => {
    const { client } = await system.start([
      { name: 'never', program: 'late', port: system.port(0), env: { GATE: system.gate }, readyTimeoutMs: 500 },
      { name: 'after', program: 'good', port: system.port(1), dependsOn: ['never'] },
    ]);
    const status = await system.state(client, 'never', failed);
    expect(status.lastError).toContain('not ready within 500 ms');
    expect(status.pid).toBeUndefined();
    expect(await system.state(client, 'after', failed)).toMatchObject({
      lastError: 'never is not ready',
      generation: 1,
    });
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('starts nothing when a stranger has a fixed port: names it and leaves it alone', async () => {
    const stranger = createServer((_, response) => response.end('hello'));
    stranger.listen(system.port(0), '127.0.0.1');
    await once(stranger, 'listening');
    const child = system.spawn([
      { name: 'api', kind: 'api', program: 'good', port: system.port(0) },
      { name: 'a', program: 'good', port: system.port(1) },
    ]);
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(1);
    expect(system.log()).toContain(`Port ${system.port(0)} of api is taken by process ${process.pid} (`);
    expect(system.log()).toContain('--port');
    expect(await (await fetch(`http://127.0.0.1:${(stranger.address() as AddressInfo).port}`)).text()).toBe('hello');
    await new Promise((resolve) => stranger.close(resolve));
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('steps around a stranger on a port that may move, and records where it went', async () => {
    const stranger = createServer();
    stranger.listen(system.port(0), '127.0.0.1');
    await once(stranger, 'listening');
    const { client } = await system.start([
      { name: 'a', program: 'good', port: system.port(0), range: system.ports },
      { name: 'b', program: 'good', port: system.port(0), range: system.ports },
    ]);
    const ports: (number | undefined)[] = [];
    for (const name of ['a', 'b']) ports.push((await system.state(client, name, ready)).port);
    expect(ports.sort()).toEqual([system.port(1), system.port(2)]);
    await until('rows are written', async () => {
      const rows = await system.sql.query<{ port: number }>(
        "SELECT port FROM services WHERE state = 'ready' ORDER BY port",
      );
      return rows.map(({ port }) => port).join() === ports.join();
    });
    await system.stop(client);
    await new Promise((resolve) => stranger.close(resolve));
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('restart with sense', () => {
  it('gives up on a crash loop', async () => {
    const { client } = await system.start([{ name: 'c', program: 'crashes', port: system.port(0) }]);
    const status = await system.state(client, 'c', failed);
    expect(status).toMatchObject({
      generation: 5,
      restarts: 4,
      lastExit: { code: 3, signal: null },
      lastLog: 'no such luck',
    });
    expect(status.lastError).toContain('5 times within 120 s');
    await until('its history is written', async () => {
      const rows = await system.sql.query<{ to_state: string }>(
        "SELECT to_state FROM service_events WHERE service = 'c' ORDER BY id",
      );
      return rows.map(({ to_state }) => to_state).join(' ') === `${'starting backoff '.repeat(4)}starting failed`;
    });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('does not try again what found its configuration invalid (exit code 78)', async () => {
    const { client } = await system.start([{ name: 'v', program: 'invalid', port: system.port(0) }]);
    const status = await system.state(client, 'v', failed);
    expect(status).toMatchObject({ generation: 1, restarts: 0, lastErrorCode: 'CONFIG_INVALID' });
    expect(status.lastError).toContain('services/mcp/x.yaml:3:7');
    await system.stop(client);
  });

  it('a token printed by a dying service is in no status, no log line, no event and no row', async () => {
    const token = `eyJhbGciOiJFUzI1NiJ9.${'cGF5bG9hZA'.repeat(3)}.c2lnbmF0dXJl`;
    const { client } = await system.start([
      { name: 'v', program: 'invalid', port: system.port(0), env: { LAST_WORDS: `refused: ${token}` } },
    ]);
    const status = await system.state(client, 'v', failed);
    expect(status).toMatchObject({
      log: ['refused: [redacted]'],
      lastLog: 'refused: [redacted]',
      lastError: expect.stringContaining('[redacted]'),
    });
    const lines: unknown[] = [];
    for await (const line of client.logs({ service: 'v', lines: 9 })) lines.push(line);
    expect(lines).toMatchObject([{ service: 'v', line: 'refused: [redacted]' }]);
    await system.stop(client);
    const rows = await system.sql.query('SELECT s.*, e.* FROM services s JOIN service_events e ON e.service = s.name');
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify([status, rows]) + system.log()).not.toContain('eyJ');
  });

  it('restarts what no longer answers', async () => {
    const { client } = await system.start([
      { name: 'f', program: 'freezes', port: system.port(0), graceMs: 200, env: { GATE: system.gate } },
    ]);
    const first = await system.state(client, 'f', ready);
    system.openGate();
    await system.state(client, 'f', ({ generation }) => generation === 2);
    const reasons = await until('its events are written', async () => {
      const rows = await system.sql.query<{ reason: string }>(
        "SELECT reason FROM service_events WHERE to_state = 'unhealthy'",
      );
      return rows.length > 0 ? rows : undefined;
    });
    expect(reasons[0]?.reason).toContain('unhealthy, three checks in a row');
    expect((await client.status()).services[0]?.instanceId).not.toBe(first.instanceId);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('tries again when what was ready is held up in its restart, and gives up what was never ready', async () => {
    const { client } = await system.start([
      {
        name: 'f',
        program: 'freezes',
        port: system.port(0),
        graceMs: 200,
        readyTimeoutMs: 1_000,
        env: { GATE: system.gate },
      },
    ]);
    const { pid } = await system.state(client, 'f', ready);
    system.openGate();
    process.kill(pid ?? 0, 'SIGKILL');
    const held = await system.state(client, 'f', ({ state, lastErrorCode }) => {
      return state === 'backoff' && lastErrorCode === 'TIMEOUT';
    });
    expect(held.lastError).toContain('it was not ready within 1000 ms');
    // Whoever starts it now waits for one try.
    const { failed } = await client.start(['f']);
    expect(failed).toEqual(['f']);
    rmSync(system.gate);
    await client.start(['f']);
    const { pid: second } = await system.state(client, 'f', ready);
    system.openGate();
    process.kill(second ?? 0, 'SIGKILL');
    await system.state(client, 'f', ({ state, lastErrorCode }) => state === 'backoff' && lastErrorCode === 'TIMEOUT');
    rmSync(system.gate);
    expect(await system.state(client, 'f', ready)).not.toHaveProperty('lastError');
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('does not call stopped what has failed because a process of it can not be ended', async () => {
    system.policy({ killWaitMs: 500 });
    const { client } = await system.start([{ name: 'u', program: 'unmarked', port: system.port(0) }]);
    const { pid, lastLog } = await system.state(client, 'u', ready);
    const child = Number(/child (\d+)/.exec(lastLog ?? '')?.[1]);
    try {
      // A group without its leader, and a member that nothing proves to be ours: it is named, and left alone.
      process.kill(pid ?? 0, 'SIGKILL');
      const { lastError } = await system.state(client, 'u', ({ state }) => state === 'failed');
      expect(lastError).toContain(String(child));
      const stopped = await client.stop(['u']);
      expect(stopped.failed).toEqual(['u']);
      expect(stopped.services[0]).toMatchObject({ state: 'failed', lastError: expect.stringContaining(String(child)) });
    } finally {
      process.kill(child, 'SIGKILL');
    }
    expect((await client.stop(['u'])).failed).toEqual([]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('starts nothing that is stopped during its pause', async () => {
    system.policy({ backoffMinMs: 60_000, backoffMaxMs: 60_000 });
    const { client } = await system.start([{ name: 'c', program: 'crashes', port: system.port(0) }]);
    await system.state(client, 'c', ({ state }) => state === 'backoff');
    await client.stop(['c']);
    expect((await client.status()).services[0]).toMatchObject({ state: 'stopped', generation: 1 });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('the wall clock is set', () => {
  it('by an hour, forward and back: no burst of restarts, and none is held up', async () => {
    system.policy({ backoffMinMs: 60_000, backoffMaxMs: 60_000 });
    const { client, process: supervisor } = await system.start([
      { name: 'c', program: 'crashes', port: system.port(0) },
      { name: 'a', program: 'good', port: system.port(1) },
    ]);
    await system.state(client, 'c', ({ state }) => state === 'backoff');
    let generation = 1;
    for (const signal of ['SIGUSR2', 'SIGWINCH', 'SIGWINCH'] as const) {
      const { pid } = await system.state(client, 'a', ready);
      const since = Date.now();
      supervisor.kill(signal);
      // What is due at once comes at once, whatever the clock on the wall says ...
      if (generation === 1) process.kill(pid ?? 0, 'SIGKILL');
      else await client.restart('a');
      generation += 1;
      const next = await system.state(client, 'a', (a) => a.state === 'ready' && a.generation === generation);
      const shown = Date.parse(next.startedAt ?? '') - since;
      if (signal === 'SIGUSR2') expect(shown).toBeGreaterThan(3_500_000);
      // ... and what is due in a minute does not.
      expect(await system.state(client, 'c', () => true)).toMatchObject({ state: 'backoff', generation: 1 });
    }
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

describe('the database is away', () => {
  it('does not carry out during the outage a restart whose pause ends in it', async () => {
    system.policy({ backoffMinMs: 300, backoffMaxMs: 300 });
    const { client } = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
    const first = await system.state(client, 'a', ready);
    process.kill(first.pid ?? 0, 'SIGKILL');
    const second = await system.state(client, 'a', (a) => a.state === 'ready' && a.generation === 2);
    process.kill(second.pid ?? 0, 'SIGKILL');
    // The second death: a pause has begun, and ends when nobody can say whose turn it is to act.
    await system.state(client, 'a', ({ state }) => state === 'backoff');
    await system.cutDatabase();
    await until('it noticed', async () => !(await client.status()).supervisor.acting);
    await system.state(client, 'a', ({ state, pid }) => state === 'starting' && pid === undefined);
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    await system.restoreDatabase();
    expect(await system.state(client, 'a', ready)).toMatchObject({ generation: 3, restarts: 2 });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('neither starts nor ends anything until it is back', async () => {
    const { client } = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
    const first = await system.state(client, 'a', ready);
    await system.cutDatabase();
    await until('it noticed', async () => !(await client.status()).supervisor.acting);
    process.kill(first.pid ?? 0, 'SIGKILL');
    // A start is due and does not happen: the state says so, and there is no process.
    await system.state(client, 'a', ({ state, generation }) => state === 'starting' && generation === 2);
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    await system.restoreDatabase();
    const second = await system.state(client, 'a', ready);
    expect(second.generation).toBe(2);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('still stops everything on order', async () => {
    const { client } = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
    await system.state(client, 'a', ready);
    await system.cutDatabase();
    await until('it noticed', async () => !(await client.status()).supervisor.acting);
    await system.stop(client);
    await system.restoreDatabase();
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
