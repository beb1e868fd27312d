import { describe, expect, it } from 'vitest';
import { Timetable } from '../../../../src/lib/app/supervisor/timetable.ts';

const never = new AbortController().signal;

describe('the timetable', () => {
  it('calls everybody in their turn, never early', async () => {
    const timetable = new Timetable(5);
    const since = performance.now();
    const order: number[] = [];
    await Promise.all(
      [60, 20, 40, 20].map(async (ms) => {
        await timetable.pause(ms, never);
        expect(performance.now() - since).toBeGreaterThanOrEqual(ms);
        order.push(ms);
      }),
    );
    expect(order).toEqual([20, 20, 40, 60]);
  });

  it('lets go of who does not wait any more, and still calls the others', async () => {
    const timetable = new Timetable(5);
    const leaves = new AbortController();
    const left = timetable.pause(20, leaves.signal);
    const stays = timetable.pause(20, never);
    leaves.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    await stays;
    await expect(timetable.pause(5, leaves.signal)).rejects.toThrow('gone');
  });
});
