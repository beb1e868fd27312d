import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { Supervised } from '../helpers/supervised.ts';

// A service that answers, but not as it should: the health check is bounded in time and size whatever comes.

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  await system.remove();
});

const modes = ['half', 'drip', 'giant', 'deaf'];

describe('a bad answer to the health check', () => {
  it.each(modes)('is no readiness: %s', async (mode) => {
    system.policy({ probeTimeoutMs: 200 });
    const { client, process: supervisor } = await system.start([
      { name: 'a', program: 'answers', port: system.port(0), env: { MODE: mode }, readyTimeoutMs: 1_000, graceMs: 200 },
    ]);
    const status = await system.state(client, 'a', ({ state }) => state === 'failed');
    expect(status.lastError).toContain('not ready within 1000 ms');
    expect(status.pid).toBeUndefined();
    expect(supervisor.exitCode).toBeNull();
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it.each(modes)('is no life: %s', async (mode) => {
    system.policy({ probeTimeoutMs: 200 });
    const { client } = await system.start([
      { name: 'a', program: 'answers', port: system.port(0), env: { MODE: mode, GATE: system.gate }, graceMs: 200 },
    ]);
    const first = await system.state(client, 'a', ({ state }) => state === 'ready');
    system.openGate();
    const next = await system.state(client, 'a', ({ generation }) => generation > 1);
    expect(next.instanceId).not.toBe(first.instanceId);
    await client.stop(['a']);
    expect(await markedProcesses(system.installation.id)).toHaveLength(0);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});
