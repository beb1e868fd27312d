import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import { machineMs, untilHeader } from '../../src/lib/app/supervisor/deadline.ts';
import type { ServiceStatus } from '../../src/lib/app/supervisor/status.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { Supervised } from '../helpers/supervised.ts';
import { until } from '../helpers/until.ts';

// A supervisor that holds its socket and does not answer: stopped by a signal, as one that hangs would be.

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  await system.remove();
});

const ready = ({ state }: ServiceStatus) => state === 'ready';
const noAnswer = { code: 'TIMEOUT', data: { reason: 'no_answer' }, next: ['doctor'] };

async function hungSystem(): Promise<{ client: SupervisorClient; resume: () => void }> {
  const { client, process: supervisor } = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
  await system.state(client, 'a', ready);
  supervisor.kill('SIGSTOP');
  return { client, resume: () => void supervisor.kill('SIGCONT') };
}

async function lines(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _line of stream) throw new Error('it answers');
}

describe('a supervisor that hangs', () => {
  it('is told by every request within its time, and goes on as if none had come', async () => {
    const { client, resume } = await hungSystem();
    const begun = performance.now();
    await Promise.all([
      expect(client.status({ withinMs: 300 })).rejects.toMatchObject(noAnswer),
      expect(client.status()).rejects.toMatchObject(noAnswer),
      expect(client.reconcile({ dryRun: true })).rejects.toMatchObject(noAnswer),
      expect(client.restart(['a'], { wait: false })).rejects.toMatchObject(noAnswer),
      expect(client.stop(['a'], { timeoutMs: 1_000 })).rejects.toMatchObject(noAnswer),
      expect(client.shutdown(false, 1_000)).rejects.toMatchObject(noAnswer),
      expect(lines(client.logs({ service: 'a' }))).rejects.toMatchObject(noAnswer),
      expect(lines(client.events())).rejects.toMatchObject(noAnswer),
    ]);
    expect(performance.now() - begun).toBeLessThan(15_000);
    resume();
    // Asked after them, it is answered after them.
    const status = await until('it answers again', () => client.status().catch(() => undefined));
    expect(status.supervisor.state).toBe('running');
    await client.start(['a']);
    expect(await system.state(client, 'a', ready)).toMatchObject({ generation: 1 });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('says to a caller who still waits that his order came too late', async () => {
    const { client, resume } = await hungSystem();
    const answer = post('/v1/stop', { names: ['a'] }, { [untilHeader]: String(machineMs() + 200) });
    await answer.sent;
    await delay(300); // the time that the order has
    resume();
    expect(await answer.text).toContain('The order came too late and was not begun');
    expect(await system.state(client, 'a', ready)).toMatchObject({ generation: 1 });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('does not begin the order of a caller who has left, whatever time it had', async () => {
    const { client, resume } = await hungSystem();
    const order = post('/v1/stop', { names: ['a'] }, { [untilHeader]: String(machineMs() + 60_000) });
    const other = post('/v1/restart', { names: ['a'] }, {});
    for (const { sent, leave } of [order, other]) {
      await sent;
      leave();
    }
    resume();
    await until('it answers again', () => client.status().catch(() => undefined));
    await client.start(['a']);
    expect(await system.state(client, 'a', ready)).toMatchObject({ generation: 1 });
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });

  it('leaves the wait of a caller who gives up to his signal', async () => {
    const { client, resume } = await hungSystem();
    const giveUp = new AbortController();
    const asked = client.status({ signal: giveUp.signal });
    giveUp.abort();
    await expect(asked).rejects.toMatchObject({ code: 'SUPERVISOR_UNAVAILABLE' });
    resume();
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  });
});

/** A request of a client of its own, whose end can be chosen. */
function post(path: string, body: unknown, headers: Record<string, string>) {
  const payload = JSON.stringify(body);
  const length = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) };
  const sent = request({
    socketPath: system.socket,
    method: 'POST',
    path,
    agent: false,
    headers: { ...length, ...headers },
  });
  const text = new Promise<string>((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', async (response) => {
      let all = '';
      for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) all += chunk;
      resolve(all);
    });
  });
  text.catch(() => {}); // one that leaves has no answer
  sent.end(payload);
  return { sent: once(sent, 'finish'), text, leave: () => sent.destroy() };
}
