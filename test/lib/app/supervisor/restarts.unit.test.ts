import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultPolicy } from '../../../../src/lib/app/supervisor/policy.ts';
import { Restarts } from '../../../../src/lib/app/supervisor/restarts.ts';

const middle = (): number => 0.5;

describe('restarts', () => {
  it('pause longer and longer, up to 30 s', () => {
    const restarts = new Restarts({ ...defaultPolicy, crashLimit: 100 }, middle);
    const pauses = Array.from({ length: 9 }, () => restarts.died(0, undefined));
    expect(pauses).toEqual(
      [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000].map((retryInMs) => ({ retryInMs })),
    );
  });

  it('vary by a quarter at most', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (chance) => {
        const verdict = new Restarts(defaultPolicy, () => chance).died(0, undefined);
        expect('retryInMs' in verdict && verdict.retryInMs).toBeGreaterThanOrEqual(375);
        expect('retryInMs' in verdict && verdict.retryInMs).toBeLessThanOrEqual(625);
      }),
    );
  });

  it('begin anew after a minute of being ready', () => {
    const restarts = new Restarts(defaultPolicy, middle);
    restarts.died(0, undefined);
    restarts.died(1_000, undefined);
    expect(restarts.died(80_000, 20_001)).toEqual({ retryInMs: 2000 });
    expect(restarts.died(200_000, 140_000)).toEqual({ retryInMs: 0 });
    expect(restarts.died(201_000, undefined)).toEqual({ retryInMs: 500 });
  });

  it('go without a pause after the first death of what was ready, and with one after the second', () => {
    const restarts = new Restarts(defaultPolicy, middle);
    expect(restarts.died(5_000, 1_000)).toEqual({ retryInMs: 0 });
    expect(restarts.died(9_000, 6_000)).toEqual({ retryInMs: 500 });
    expect(restarts.died(13_000, 10_000)).toEqual({ retryInMs: 1000 });
    restarts.reset();
    expect(restarts.died(14_000, 13_500)).toEqual({ retryInMs: 0 });
  });

  it('pause at once when the first death was before ready', () => {
    const restarts = new Restarts(defaultPolicy, middle);
    expect(restarts.died(1_000, undefined)).toEqual({ retryInMs: 500 });
    expect(restarts.died(3_000, 2_000)).toEqual({ retryInMs: 1000 });
  });

  it('end with the fifth death before ready within two minutes', () => {
    const restarts = new Restarts(defaultPolicy, middle);
    for (const at of [0, 30_000, 60_000, 90_000]) expect(restarts.died(at, undefined)).toHaveProperty('retryInMs');
    expect(restarts.died(119_999, undefined)).toHaveProperty('giveUp');
  });

  it('go on, with longer and longer pauses, when it could not even be started', () => {
    const restarts = new Restarts(defaultPolicy, middle);
    const pauses = Array.from({ length: 8 }, () => restarts.notStarted());
    expect(pauses.slice(0, 3)).toEqual([{ retryInMs: 500 }, { retryInMs: 1000 }, { retryInMs: 2000 }]);
    expect(pauses.at(-1)).toEqual({ retryInMs: 30_000 });
    expect(restarts.died(1_000, undefined)).toHaveProperty('retryInMs');
  });

  it('go on when the deaths are further apart, or come after ready', () => {
    const slow = new Restarts(defaultPolicy, middle);
    for (let at = 0; at < 600_000; at += 30_001) expect(slow.died(at, undefined)).toHaveProperty('retryInMs');
    const short = new Restarts(defaultPolicy, middle);
    for (let at = 0; at < 60_000; at += 1_000) expect(short.died(at, at - 1)).toHaveProperty('retryInMs');
  });

  it('end with the fifth restart in a row that is not ready in time, however long each took', () => {
    const restarts = new Restarts(defaultPolicy, middle);
    for (let time = 0; time < 4; time += 1) expect(restarts.late()).toHaveProperty('retryInMs');
    restarts.ready();
    for (let time = 0; time < 4; time += 1) expect(restarts.late()).toHaveProperty('retryInMs');
    expect(restarts.late()).toHaveProperty('giveUp');
  });
});
