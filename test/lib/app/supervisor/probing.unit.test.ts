import { describe, expect, it } from 'vitest';
import { HealthRecord } from '../../../../src/lib/app/supervisor/health-record.ts';
import { defaultPolicy } from '../../../../src/lib/app/supervisor/policy.ts';
import { watchHealth } from '../../../../src/lib/app/supervisor/probing.ts';
import type { Run } from '../../../../src/lib/app/supervisor/run.ts';
import { Timetable } from '../../../../src/lib/app/supervisor/timetable.ts';
import type { ServiceSpec } from '../../../../src/lib/infra/process/spec.ts';

describe('watchHealth', () => {
  it('goes on when the machine is too short of descriptors to look a process up', async () => {
    let short = 2;
    const run = {
      record: { instanceId: 'i', port: 1 },
      pid: 4711,
      adopted: true,
      alive: async () => true,
      halted: async () => {
        short -= 1;
        if (short >= 0) throw Object.assign(new Error('too many open files'), { code: 'EMFILE' });
        return false;
      },
    } as unknown as Run;
    const stop = new AbortController();
    const found = Promise.withResolvers<string>();
    const watched = watchHealth(
      {
        spec: { probe: async () => ({ ready: false, reason: 'silent' }) } as unknown as ServiceSpec,
        run,
        policy: { ...defaultPolicy, livenessEveryMs: 20, readinessEveryMs: 20 },
        timetable: new Timetable(5),
        record: new HealthRecord(1_000),
        turned: (_healthy, reason) => found.resolve(reason),
        noticed: () => {},
      },
      stop.signal,
    );
    watched.catch((error: unknown) => {
      if (!stop.signal.aborted) found.reject(error);
    });
    expect(await found.promise).toContain('three checks in a row: silent');
    stop.abort();
    await expect(watched).rejects.toThrow();
  });

  it('asks soon again where nobody listens, not a liveness interval later', async () => {
    const run = { record: { instanceId: 'i', port: 1 }, pid: 4711, adopted: true, halted: async () => false };
    const stop = new AbortController();
    const found = Promise.withResolvers<string>();
    const watched = watchHealth(
      {
        spec: { probe: async () => ({ ready: false, reason: 'refused', refused: true }) } as unknown as ServiceSpec,
        run: run as unknown as Run,
        policy: { ...defaultPolicy, livenessEveryMs: 3_600_000, deafRetryMs: 10 },
        timetable: new Timetable(5),
        record: new HealthRecord(1_000),
        turned: (_healthy, reason) => found.resolve(reason),
        noticed: () => {},
      },
      stop.signal,
    );
    watched.catch(found.reject);
    expect(await found.promise).toContain('three checks in a row: refused');
    stop.abort();
    await expect(watched).rejects.toThrow();
  });
});
