import { expect, it } from 'vitest';
import { leadersOf } from '../../../../src/lib/app/supervisor/left-behind.ts';

const process = (service: string, pid: number, parent: number) => ({
  service,
  parent,
  identity: { bootId: 'b', pid, startTicks: '1' as never },
});

it('names the process of each service that started the others, also when its pid is the higher one', () => {
  const found = [process('mcp:x', 10, 90), process('mcp:x', 90, 1), process('', 5, 1), process('api', 7, 1)];
  expect([...leadersOf(found)]).toEqual([
    ['api', 7],
    ['mcp:x', 90],
  ]);
});
