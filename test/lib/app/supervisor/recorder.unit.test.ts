import { describe, expect, it } from 'vitest';
import { Fence } from '../../../../src/lib/app/supervisor/fence.ts';
import { Recorder } from '../../../../src/lib/app/supervisor/recorder.ts';
import type { Database } from '../../../../src/lib/infra/database/connection.ts';

const database = { onError: () => {}, query: async () => [{}] } as unknown as Database;

function recorder(): Recorder {
  return new Recorder(new Fence(), 'i', 60_000, (error) => {
    throw error;
  });
}

describe('Recorder', () => {
  it('who waits for what was to be written is answered, though a long outage pushed old writes out', async () => {
    const written: number[] = [];
    const records = recorder();
    const add = (index: number): void =>
      records.write(async () => {
        written.push(index);
        return true;
      });
    add(-1);
    const caughtUp = records.caughtUp(new AbortController().signal);
    for (let index = 0; index < 12_000; index += 1) add(index);
    records.begin(database, 1);
    await caughtUp;
    await records.caughtUp(new AbortController().signal);
    expect(written.at(-1)).toBe(11_999);
    expect(written.length).toBe(10_000);
    records.close();
  });

  it('what is waited for is committed, not merely queued; who stops waiting is told so', async () => {
    const records = recorder();
    const gate = Promise.withResolvers<boolean>();
    records.begin(database, 1);
    records.write(() => gate.promise);
    const stop = new AbortController();
    const given = records.caughtUp(stop.signal);
    stop.abort(new Error('no longer'));
    await expect(given).rejects.toThrow('no longer');
    let done = false;
    const waited = records.caughtUp(new AbortController().signal).then(() => {
      done = true;
    });
    await new Promise(setImmediate);
    expect(done).toBe(false);
    gate.resolve(true);
    await waited;
    records.close();
  });
});
