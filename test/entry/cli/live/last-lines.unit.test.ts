import { expect, it } from 'vitest';
import { lastLinesOf, lastWords, namedLines } from '../../../../src/entry/cli/live/follow.ts';
import type { SupervisorClient } from '../../../../src/lib/app/supervisor/client.ts';
import type { ServiceStatus } from '../../../../src/lib/app/supervisor/status.ts';

const service = (name: string, more: Partial<ServiceStatus>): ServiceStatus => ({
  name,
  kind: 'mcp',
  state: 'starting',
  generation: 1,
  restarts: 0,
  ...more,
});

const services = [
  service('mcp:a', { lastInstanceId: 'two' }),
  service('mcp:mute', { lastInstanceId: 'three' }),
  service('mcp:unborn', {}),
  service('mcp:failed', { state: 'failed', log: ['its own'] }),
];

/** A supervisor whose services have each printed 15 lines in each of two runs. */
const client = {
  status: async () => ({ services }),
  async *logs({ service, lines }: { service: string; lines: number }) {
    for (let n = 31 - lines; n <= 30; n += 1) yield { instanceId: n <= 15 ? 'one' : 'two', line: `${service} ${n}` };
  },
} as unknown as SupervisorClient;

it('shows the last lines of the last run alone: none of another, none when it printed nothing', async () => {
  const a = await lastLinesOf(client, ['mcp:a', 'mcp:mute', 'mcp:unborn']);
  expect(a).toHaveLength(15);
  expect([a[0], a.at(-1)]).toEqual(['mcp:a 16', 'mcp:a 30']);
  expect(await lastLinesOf(client, ['mcp:mute', 'mcp:unborn'])).toEqual([]);
  expect(await lastLinesOf(client, ['mcp:failed'])).toEqual(['its own']);
});

it('has the words of those that failed, and of nobody else', () => {
  expect(lastWords(services, ['mcp:failed', 'mcp:mute'])).toEqual({ 'mcp:failed': ['its own'], 'mcp:mute': [] });
});

it('names the services where there are several, with twenty lines of each', () => {
  const lines = Array.from({ length: 30 }, (_, n) => `line ${n + 1}`);
  expect(namedLines({ a: lines, b: [] })).toHaveLength(20);
  const two = namedLines({ a: lines, b: ['x'] });
  expect(two).toHaveLength(23);
  expect(two.slice(19)).toEqual(['line 29', 'line 30', 'b:', 'x']);
});
