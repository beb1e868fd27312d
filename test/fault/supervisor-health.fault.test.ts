import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Upstreams } from '../../src/lib/app/router/upstreams.ts';
import { ServiceDirectory } from '../../src/lib/app/supervisor/directory.ts';
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

interface Row {
  readonly state: string;
  readonly serving: boolean;
  readonly health_reason: string | null;
  readonly failures_in_row: number;
  readonly first_failure_at: Date | null;
}

function row(wanted: (row: Row) => boolean): Promise<Row> {
  return until('the row is as wanted', async () => {
    const [found] = await system.sql.query<Row>('SELECT * FROM services');
    return found !== undefined && wanted(found) ? found : undefined;
  });
}

describe('promise 5, health without doubt', () => {
  it('three checks in a row without an answer: unhealthy, with the facts in status and row, and replaced', async () => {
    system.policy({ livenessEveryMs: 300, probeTimeoutMs: 200 });
    const { client } = await system.start([
      { name: 'f', program: 'freezes', port: system.port(0), graceMs: 200, env: { GATE: system.gate } },
    ]);
    const first = await system.state(client, 'f', ({ health }) => (health?.latencies.length ?? 0) >= 2);
    expect(first.health).toMatchObject({ serving: true, failures: 0, consecutive: 0, downtimeMs: 0 });
    expect(first.health?.latencyMs).toBeGreaterThan(0);
    system.openGate();
    const missed = await system.state(client, 'f', ({ health }) => health?.consecutive === 1);
    expect(missed).toMatchObject({ state: 'ready', health: { serving: true, reason: 'no answer in time' } });
    expect(missed.health?.firstFailureAt).toBeDefined();
    const written = await row(({ failures_in_row }) => failures_in_row >= 2);
    expect(written).toMatchObject({ health_reason: 'no answer in time' });
    expect(written.first_failure_at).not.toBeNull();
    const second = await system.state(client, 'f', ({ generation }) => generation === 2);
    expect(second.instanceId).not.toBe(first.instanceId);
    expect(second.health).toMatchObject({ failures: 3, consecutive: 0 });
    expect(second.health?.downtimeMs).toBeGreaterThan(0);
    const [event] = await until('its events are written', async () => {
      const rows = await system.sql.query<{ reason: string }>(
        "SELECT reason FROM service_events WHERE to_state = 'unhealthy'",
      );
      return rows.length > 0 ? rows : undefined;
    });
    expect(event?.reason).toBe('unhealthy, three checks in a row: no answer in time');
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('a process that was stopped by SIGSTOP is replaced soon after its first miss: it is no busy one', async () => {
    system.policy({ livenessEveryMs: 4_000, deafRetryMs: 50, probeTimeoutMs: 200 });
    const { client } = await system.start([{ name: 'h', program: 'good', port: system.port(0), graceMs: 200 }]);
    const first = await system.state(client, 'h', ready);
    process.kill(first.pid ?? 0, 'SIGSTOP');
    const missed = await system.state(client, 'h', ({ health }) => health?.firstFailureAt !== undefined);
    const [event] = await until('it is unhealthy', async () => {
      const rows = await system.sql.query<{ at: Date }>("SELECT at FROM service_events WHERE to_state = 'unhealthy'");
      return rows.length > 0 ? rows : undefined;
    });
    // Two more misses of a busy one would be 4 s apart.
    const since = Date.parse(missed.health?.firstFailureAt ?? '');
    expect((event?.at.getTime() ?? 0) - since).toBeLessThan(4_000);
    await system.state(client, 'h', ({ generation, state }) => generation === 2 && state === 'ready');
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('who no longer listens is found, although it still answers over the connection that is open', async () => {
    system.policy({ livenessEveryMs: 500, connectionMs: 3_000 });
    const { client } = await system.start([
      { name: 'u', program: 'unlistens', port: system.port(0), graceMs: 200, env: { GATE: system.gate } },
    ]);
    const first = await system.state(client, 'u', ready);
    system.openGate();
    const missed = await system.state(client, 'u', ({ health }) => health?.firstFailureAt !== undefined);
    expect(missed.health?.reason).toBe('no answer (ECONNREFUSED)');
    // It had answered again and again without listening.
    expect(missed.health?.checks).toBeGreaterThan(2);
    rmSync(system.gate);
    const second = await system.state(client, 'u', ({ generation, state }) => generation > 1 && state === 'ready');
    expect(second.instanceId).not.toBe(first.instanceId);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('not ready by its own word: out of routing, never restarted, and back by itself', async () => {
    const { client } = await system.start([
      { name: 'mcp:a', program: 'flaps', port: system.port(0), env: { GATE: system.gate } },
    ]);
    const first = await system.state(client, 'mcp:a', ready);
    const directory = await ServiceDirectory.open(system.sql, system.installation.id);
    const upstreams = new Upstreams(directory, Buffer.alloc(32));
    try {
      await until('it is routed to', () => directory.endpoint('mcp:a')?.serving);
      expect(upstreams.to('a').instanceId).toBe(first.instanceId);
      system.openGate();
      const away = await system.state(client, 'mcp:a', ({ health }) => health?.serving === false);
      expect(away).toMatchObject({ state: 'ready', health: { reason: 'its database is away', tools: 3 } });
      await until('nothing is routed to it', () => directory.endpoint('mcp:a')?.serving === false);
      expect(() => upstreams.to('a')).toThrow('The server a is not ready (not serving).');
      expect(await row(({ serving }) => !serving)).toMatchObject({
        state: 'ready',
        health_reason: 'its database is away',
        failures_in_row: 0,
      });
      // Longer than three liveness checks take.
      const checks = away.health?.checks ?? 0;
      await system.state(client, 'mcp:a', ({ health }) => (health?.checks ?? 0) > checks + 8);
      rmSync(system.gate);
      await until('it is routed to again', () => directory.endpoint('mcp:a')?.serving);
      const back = await system.state(client, 'mcp:a', ({ health }) => health?.serving === true);
      expect(back).toMatchObject({ instanceId: first.instanceId, pid: first.pid, generation: 1, restarts: 0 });
      expect(back.health?.downtimeMs).toBeGreaterThan(0);
      const events = await until('both turns are on record', async () => {
        const rows = await system.sql.query(
          `SELECT from_state, to_state, event, reason FROM service_events WHERE event IN ('serving', 'not_serving') ORDER BY id`,
        );
        return rows.length >= 2 ? rows : undefined;
      });
      expect(events).toEqual([
        { from_state: 'ready', to_state: 'ready', event: 'not_serving', reason: 'its database is away' },
        { from_state: 'ready', to_state: 'ready', event: 'serving', reason: null },
      ]);
    } finally {
      await upstreams.close();
      await directory.close();
    }
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('an event loop that is late is told of, and nothing is done about it', async () => {
    const { client } = await system.start([
      { name: 'l', program: 'flaps', port: system.port(0), env: { GATE: system.gate } },
    ]);
    await system.state(client, 'l', ready);
    writeFileSync(`${system.gate}.late`, '');
    const late = await system.state(client, 'l', ({ health }) => health?.reason !== undefined);
    expect(late).toMatchObject({
      state: 'ready',
      generation: 1,
      health: { serving: true, reason: 'its event loop was held up for 1235 ms', eventLoopDelayMs: 1234.5 },
    });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
