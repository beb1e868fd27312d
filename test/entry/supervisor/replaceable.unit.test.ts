import { expect, it } from 'vitest';
import { Replaceable } from '../../../src/entry/supervisor/replaceable.ts';

interface Thing {
  readonly number: number;
  open: boolean;
}

function things() {
  let made = 0;
  const replaceable = new Replaceable<Thing>(
    async () => {
      made += 1;
      return { number: made, open: true };
    },
    async (thing) => {
      thing.open = false;
    },
  );
  return { replaceable, made: () => made };
}

it('who has it in hand keeps it open while it is replaced: a sign-in met "Cannot use a pool after calling end"', async () => {
  const { replaceable } = things();
  const { promise: goOn, resolve } = Promise.withResolvers<void>();
  const { promise: begun, resolve: hasBegun } = Promise.withResolvers<Thing>();
  const working = replaceable.during(async () => {
    const thing = await replaceable.get();
    hasBegun(thing);
    await goOn;
    return thing.open;
  });
  const first = await begun;
  const dropped = replaceable.drop();
  const next = await replaceable.during(() => replaceable.get());
  expect([first.open, next.number]).toEqual([true, 2]);
  resolve();
  expect(await working).toBe(true);
  await dropped;
  expect([first.open, next.open]).toEqual([false, true]);
});

it('is tried again after it could not be made, and is then the one that all get', async () => {
  let tries = 0;
  const replaceable = new Replaceable<Thing>(
    async () => {
      tries += 1;
      if (tries === 1) throw new Error('no database');
      return { number: tries, open: true };
    },
    async () => {},
  );
  await expect(replaceable.during(() => replaceable.get())).rejects.toThrow('no database');
  const both = await Promise.all([replaceable.get(), replaceable.get()]);
  expect(both.map(({ number }) => number)).toEqual([2, 2]);
  await replaceable.drop();
});
