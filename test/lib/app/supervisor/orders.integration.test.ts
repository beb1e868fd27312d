import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ServiceStatus, SupervisorClient } from '../../../../src/lib/app/supervisor/client.ts';
import { NotFoundError, TimeoutError } from '../../../../src/lib/shared/errors.ts';
import { noFootprint } from '../../../helpers/leaks.ts';
import { Supervised } from '../../../helpers/supervised.ts';

let system: Supervised;
let client: SupervisorClient;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  await system.remove();
});

const states = (services: readonly ServiceStatus[]) => services.map(({ name, state }) => `${name} ${state}`);

/** a stands alone; c stands on b; `late` becomes ready when the gate opens. */
async function start(): Promise<void> {
  ({ client } = await system.start([
    { name: 'a', program: 'good', port: system.port(0) },
    { name: 'b', program: 'good', port: system.port(1), kind: 'agent' },
    { name: 'c', program: 'good', port: system.port(2), dependsOn: ['b'] },
    { name: 'late', program: 'late', port: system.port(3), env: { GATE: system.gate } },
  ]));
  for (const name of ['a', 'b', 'c']) await system.state(client, name, ({ state }) => state === 'ready');
}

async function end(): Promise<void> {
  system.openGate();
  await system.stop(client);
  expect(await system.footprint()).toEqual(noFootprint);
}

it('names, kinds and what was so already: start, stop and restart tell what they did and to whom', async () => {
  await start();
  expect(await client.stop(['agent'])).toMatchObject({ named: ['b'], failed: [] });
  expect(states((await client.status()).services).slice(0, 3)).toEqual(['a ready', 'b stopped', 'c stopped']);

  const again = await client.stop(['b', 'a']);
  expect(again).toMatchObject({ named: ['a', 'b'], already: ['b', 'c'], failed: [] });
  expect(states(again.services)).toEqual(['a stopped', 'b stopped', 'c stopped']);

  const started = await client.start(['c']);
  expect(started).toMatchObject({ named: ['c'], failed: [] });
  expect(states(started.services)).toEqual(['b ready', 'c ready']);
  expect(await client.start(['c'])).toMatchObject({ already: ['b', 'c'], failed: [] });

  const [, c] = started.services;
  const restarted = await client.restart('agent');
  expect(restarted).toMatchObject({ named: ['b'], dependents: ['c'], failed: [] });
  expect(restarted.already).toBeUndefined();
  const { services } = await client.status();
  expect(services.find(({ name }) => name === 'c')?.pid).toBe(c?.pid);
  await end();
});

it('an unknown service changes nothing, even beside known ones', async () => {
  await start();
  const refused = client.stop(['a', 'bee']);
  await expect(refused).rejects.toThrow(NotFoundError);
  await expect(refused).rejects.toMatchObject({ data: { name: 'bee' } });
  expect(states((await client.status()).services)[0]).toBe('a ready');
  await end();
});

describe('the end of the wait', () => {
  it('names who is not there yet, undoes nothing, and what was ordered happens', async () => {
    await start();
    await client.stop(['a']);
    const late = client.start(['a', 'late'], { timeoutMs: 1_500 });
    await expect(late).rejects.toThrow(TimeoutError);
    await expect(late).rejects.toMatchObject({
      message: 'Not ready after 1.5 s: late (starting)',
      data: { pending: ['late'], failed: [] },
    });
    const { services } = await client.status();
    expect(states(services)).toEqual(['a ready', 'b ready', 'c ready', 'late starting']);
    system.openGate();
    await system.state(client, 'late', ({ state }) => state === 'ready');
    await end();
  });

  it('without a wait the answer says who is on the way', async () => {
    await start();
    const before = await system.state(client, 'a', ({ state }) => state === 'ready');
    const restarted = await client.restart(['a'], { wait: false });
    expect(restarted).toMatchObject({ named: ['a'], failed: [], pending: ['a'] });
    expect((await client.start(['late'], { wait: false })).pending).toEqual(['late']);
    await system.state(client, 'a', ({ state, instanceId }) => state === 'ready' && instanceId !== before.instanceId);
    await expect(client.start(['nobody'], { wait: false })).rejects.toThrow(NotFoundError);
    await end();
  });
});

it('stop now does not wait for the grace of a service that ignores SIGTERM', async () => {
  ({ client } = await system.start([{ name: 'deaf', program: 'ignores-term', port: system.port(0), graceMs: 60_000 }]));
  await system.state(client, 'deaf', ({ state }) => state === 'ready');
  const since = performance.now();
  expect(await client.stop(['deaf'], { now: true })).toMatchObject({ failed: [] });
  expect(performance.now() - since).toBeLessThan(20_000);
  await end();
});
