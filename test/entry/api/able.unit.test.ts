import { describe, expect, it } from 'vitest';
import { untilAllHold } from '../../../src/entry/api/able.ts';

describe('waiting for what requests need', () => {
  it('lasts until all of it holds at once', async () => {
    let looks = 0;
    const audit = (): void => {
      looks += 1;
      if (looks < 4) throw new Error('away');
    };
    expect(await untilAllHold({ audit, database: async () => {} }, Number.POSITIVE_INFINITY)).toEqual([]);
    expect(looks).toBe(4);
  });

  it('ends when its time is over, and says what is missing', async () => {
    const away = new Error('away');
    const checks = { audit: () => Promise.reject(away), database: async () => {} };
    expect(await untilAllHold(checks, 60)).toEqual([['audit', away]]);
  });
});
