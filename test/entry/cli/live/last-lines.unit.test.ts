import { expect, it } from 'vitest';
import { lastLinesOf } from '../../../../src/entry/cli/live/follow.ts';
import type { SupervisorClient } from '../../../../src/lib/app/supervisor/client.ts';

/** A supervisor whose services have each printed 30 lines; `mcp:mute` none. */
const client = {
  async *logs({ service, lines }: { service: string; lines: number }) {
    for (let n = 31 - lines; n <= 30 && service !== 'mcp:mute'; n += 1) yield { line: `${service} ${n}` };
  },
} as unknown as SupervisorClient;

it('shows the last twenty lines of each service that failed, under its name where there are several', async () => {
  const one = await lastLinesOf(client, ['mcp:a', 'mcp:mute']);
  expect(one).toHaveLength(20);
  expect(one.at(-1)).toBe('mcp:a 30');
  const four = await lastLinesOf(client, ['mcp:a', 'mcp:b', 'mcp:mute', 'mcp:c', 'mcp:d']);
  expect(four).toHaveLength(4 * 21);
  expect(four.slice(20, 23)).toEqual(['mcp:a 30', 'mcp:b:', 'mcp:b 11']);
  expect(four.at(-1)).toBe('mcp:d 30');
});
