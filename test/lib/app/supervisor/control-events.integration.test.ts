import { afterEach, beforeEach, expect, it } from 'vitest';
import { openEventSource } from '../../../helpers/event-source.ts';
import { Supervised } from '../../../helpers/supervised.ts';
import { until } from '../../../helpers/until.ts';

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  await system.remove();
});

const listen = (headers: Record<string, string> = {}) =>
  openEventSource({ socketPath: system.socket, path: '/v1/events', headers });

it('the control socket answers server-sent events to who accepts them, resumed where the journal can', async () => {
  const { client } = await system.start([{ name: 'a', program: 'good', port: system.port(0) }]);
  await system.state(client, 'a', ({ state }) => state === 'ready');
  const source = await listen();
  expect(source.headers['content-type']).toBe('text/event-stream');
  await until('the boot', () => source.messages.some(({ event }) => event === 'ready'));
  const states = source.messages.filter(({ event }) => event === 'transition').map(({ data }) => JSON.parse(data).to);
  expect(states).toEqual(['starting', 'ready']);
  const last = source.messages.at(-1)?.id ?? '';

  await client.stop(['a']);
  const resumed = await listen({ 'last-event-id': last });
  await until('what came after', () => resumed.messages.length === 2);
  expect(resumed.messages.map(({ data }) => JSON.parse(data).to)).toEqual(['stopping', 'stopped']);
  // Another supervisor's id says nothing of this one.
  const other = await listen({ 'last-event-id': '00000000.3' });
  await until('everything', () => other.messages.length === source.messages.length);
  expect(other.messages[0]?.id).toBe(source.messages[0]?.id);

  const lines: unknown[] = [];
  const over = new AbortController();
  for await (const event of client.events(over.signal)) {
    lines.push(event);
    if (lines.length === source.messages.length) over.abort();
  }
  expect(source.messages.map(({ data }) => JSON.parse(data))).toEqual(lines);
  await system.stop(client);
  await source.ended;
  expect(source.messages.at(-1)?.event).toBe('stopped');
});
