import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planSync, type Sides } from '../../../../src/lib/app/sync/plan.ts';

const digest = fc.constantFrom(undefined, 'a', 'b', 'c');
const sides = fc.record({ path: fc.constant('x'), files: digest, database: digest, base: digest });
const direction = fc.constantFrom('to-db' as const, 'to-disk' as const);
const strategy = fc.constantFrom(undefined, 'ours' as const, 'theirs' as const, 'merge' as const);

const one = (side: Omit<Sides, 'path'>, to: 'to-db' | 'to-disk', by?: 'ours' | 'theirs' | 'merge') =>
  planSync([{ path: 'x', ...side }], to, by)[0];

describe('the plan of a sync', () => {
  it('never changes a side whose change the other does not know, unless a strategy says so', () => {
    fc.assert(
      fc.property(sides, direction, strategy, (side, to, by) => {
        const [step] = planSync([side], to, by);
        const lost = step?.on === undefined ? undefined : side[step.on];
        if (lost !== undefined && lost !== side.base) expect(by).toBe(step?.on === 'files' ? 'theirs' : 'ours');
      }),
      { numRuns: 2_000 },
    );
  });

  it('leaves alone what is the same, merges on demand only, and has no conflict where somebody wins', () => {
    fc.assert(
      fc.property(sides, direction, strategy, (side, to, by) => {
        const kind = planSync([side], to, by)[0]?.kind;
        expect(kind === 'keep').toBe(side.files === side.database);
        if (by !== 'merge') expect(kind).not.toBe('merge');
        if (by === 'ours' || by === 'theirs') expect(kind).not.toBe('conflict');
      }),
      { numRuns: 2_000 },
    );
  });

  it('carries a change in its direction only', () => {
    expect(one({ files: 'b', database: 'a', base: 'a' }, 'to-db')).toMatchObject({ kind: 'write', on: 'database' });
    expect(one({ files: 'b', database: 'a', base: 'a' }, 'to-disk')).toMatchObject({ kind: 'ahead' });
    expect(one({ files: 'a', database: 'b', base: 'a' }, 'to-disk')).toMatchObject({ kind: 'write', on: 'files' });
    expect(one({ files: 'a', database: 'b', base: 'a' }, 'to-db')).toMatchObject({ kind: 'behind' });
  });

  it('takes a missing file for a deleted one only where it was there before', () => {
    expect(one({ files: undefined, database: 'a', base: 'a' }, 'to-db')).toMatchObject({
      kind: 'delete',
      on: 'database',
    });
    expect(one({ files: undefined, database: 'a', base: undefined }, 'to-db')).toMatchObject({ kind: 'behind' });
    expect(one({ files: 'a', database: undefined, base: undefined }, 'to-disk')).toMatchObject({ kind: 'ahead' });
    expect(one({ files: 'a', database: undefined, base: 'a' }, 'to-disk')).toMatchObject({
      kind: 'delete',
      on: 'files',
    });
  });

  it('does not merge a deletion with a change', () => {
    expect(one({ files: undefined, database: 'b', base: 'a' }, 'to-db', 'merge')).toMatchObject({ kind: 'conflict' });
  });
});
