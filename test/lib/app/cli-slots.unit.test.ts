import { describe, expect, it } from 'vitest';
import { Slots } from '../../../src/lib/app/cli-slots.ts';

const never = new AbortController().signal;
const ask = (caller: string, more: { timeoutMs?: number; signal?: AbortSignal } = {}) => ({
  caller,
  timeoutMs: 5_000,
  signal: never,
  ...more,
});

describe('slots', () => {
  it('admits no more than there are, and the next one in the order of coming', async () => {
    const slots = new Slots({ slots: 4, waiting: 8 });
    const held = await Promise.all(['a', 'a', 'b', 'b'].map((caller) => slots.take(ask(caller))));
    const order: string[] = [];
    const later = ['c', 'd'].map(async (caller) => {
      const release = await slots.take(ask(caller));
      order.push(caller);
      return release;
    });
    await Promise.resolve();
    expect(order).toEqual([]);
    held[0]?.();
    held[0]?.(); // given back once
    await later[0];
    expect(order).toEqual(['c']);
    held[1]?.();
    await later[1];
    expect(order).toEqual(['c', 'd']);
  });

  it('one caller with a flood keeps nobody else from a slot, or from the line', async () => {
    const slots = new Slots({ slots: 4, waiting: 8 });
    const flood = Array.from({ length: 20 }, () => slots.take(ask('flood')));
    const outcomes = flood.map((taking) => taking.then(() => 'taken').catch((error: Error) => error.name));
    const other = await slots.take(ask('other'));
    const another = await slots.take(ask('another'));
    const waits = slots.take(ask('waits'));
    other();
    // Six of the flood came to the line first, four of which wait in it; its share is used up.
    (await waits)();
    another();
    const refused = (await Promise.all(outcomes.slice(6))).filter((name) => name === 'UpstreamUnavailableError');
    expect(refused).toHaveLength(14);
    await expect(flood[19]).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      hint: expect.stringMatching(/try again/),
    });
    for (const taking of flood.slice(0, 6)) (await taking)();
  });

  it('a wait ends with its time and with its cancellation, and leaves the line', async () => {
    const slots = new Slots({ slots: 1, waiting: 2 });
    const release = await slots.take(ask('a'));
    await expect(slots.take(ask('b', { timeoutMs: 10 }))).rejects.toMatchObject({ code: 'TIMEOUT' });
    const cancel = new AbortController();
    const waiting = slots.take(ask('b', { signal: cancel.signal }));
    cancel.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
    const next = slots.take(ask('b'));
    release();
    (await next)();
  });
});
