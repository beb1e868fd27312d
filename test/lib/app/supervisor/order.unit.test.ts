import { describe, expect, it } from 'vitest';
import { checkDependencies, inOrder } from '../../../../src/lib/app/supervisor/order.ts';

const nodes = [
  { name: 'api', dependsOn: ['db'] },
  { name: 'db', dependsOn: [] },
  { name: 'mcp', dependsOn: ['db'] },
  { name: 'agent', dependsOn: ['mcp', 'api'] },
];

/** Runs the nodes and opens their gates one by one: what had begun before each. */
async function trace(options: { parallel: number; reversed?: boolean }): Promise<string[]> {
  const begun: string[] = [];
  const steps: string[] = [];
  const gates = new Map<string, () => void>();
  const all = inOrder(nodes, options, (node) => {
    begun.push(node.name);
    return new Promise((resolve) => gates.set(node.name, resolve));
  });
  for (let index = 0; index < nodes.length; index += 1) {
    const name = begun[index] ?? '';
    steps.push(begun.join(' '));
    gates.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
  return steps;
}

describe('the order of services', () => {
  it('begins each when all that it needs is done', async () => {
    expect(await trace({ parallel: 4 })).toEqual(['db', 'db api mcp', 'db api mcp', 'db api mcp agent']);
  });
  it('never runs more than it may at once', async () => {
    expect(await trace({ parallel: 1 })).toEqual(['db', 'db api', 'db api mcp', 'db api mcp agent']);
  });
  it('stops the other way round', async () => {
    expect(await trace({ parallel: 4, reversed: true })).toEqual([
      'agent',
      'agent api mcp',
      'agent api mcp',
      'agent api mcp db',
    ]);
  });
  it('goes on with the others when one fails, and throws at the end', async () => {
    const done: string[] = [];
    const work = async ({ name }: { name: string }): Promise<void> => {
      if (name === 'api') throw new Error('no');
      done.push(name);
    };
    await expect(inOrder(nodes, { parallel: 2 }, work)).rejects.toThrow('no');
    expect(done).toEqual(['db', 'mcp', 'agent']);
  });
  it('refuses circles and gaps', () => {
    expect(() => checkDependencies(nodes)).not.toThrow();
    expect(() => checkDependencies([{ name: 'a', dependsOn: ['b'] }])).toThrow('a depends on b');
    expect(() =>
      checkDependencies([
        { name: 'a', dependsOn: ['b'] },
        { name: 'b', dependsOn: ['a'] },
      ]),
    ).toThrow('a → b → a');
  });
});
