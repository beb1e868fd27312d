import { describe, expect, it } from 'vitest';
import { HealthRecord } from '../../../../src/lib/app/supervisor/health-record.ts';

const miss = { ready: false, reason: 'no answer in time' } as const;

function serving(now = 0): HealthRecord {
  const record = new HealthRecord(1_000);
  record.follow('starting', true, now);
  record.follow('ready', true, now);
  return record;
}

describe('the record of health', () => {
  it('counts misses in a row, and forgets the row with the next answer', () => {
    const record = serving();
    record.checked(miss, 10);
    record.checked(miss, 10);
    expect(record.status()).toMatchObject({ checks: 2, failures: 2, consecutive: 2, reason: 'no answer in time' });
    expect(record.status().firstFailureAt).toMatch(/^\d{4}-/);
    record.checked({ ready: true }, 1.234);
    expect(record.status()).toMatchObject({ checks: 3, failures: 2, consecutive: 0, latencyMs: 1.2 });
    expect(record.status()).not.toHaveProperty('firstFailureAt');
    expect(record.status()).not.toHaveProperty('reason');
  });

  it('has the circuits of the last answer, none of a run before', () => {
    const record = serving();
    record.checked({ ready: true, health: { circuits: { notes: 'open' } } }, 1);
    expect(record.status().circuits).toEqual({ notes: 'open' });
    record.begin();
    expect(record.status()).not.toHaveProperty('circuits');
  });

  it('keeps the last 60 latencies, oldest first', () => {
    const record = serving();
    for (let at = 1; at <= 70; at += 1) record.checked({ ready: true }, at);
    expect(record.status().latencies).toEqual(Array.from({ length: 60 }, (_, index) => index + 11));
  });

  it('counts as downtime what it should have served and did not: by its own word, dead, failed; not the first start', () => {
    const record = new HealthRecord(1_000);
    record.follow('starting', true, 0);
    record.follow('ready', true, 500);
    expect(record.status(900).downtimeMs).toBe(0);
    record.checked({ ready: true, health: { ready: false } }, 1);
    record.follow('ready', true, 1_000);
    expect(record.status(1_300)).toMatchObject({
      serving: false,
      downtimeMs: 300,
      reason: 'it says that it is not ready',
    });
    record.checked({ ready: true, health: { ready: true } }, 1);
    record.follow('ready', true, 1_500);
    expect(record.status(9_000).downtimeMs).toBe(500);
    record.follow('backoff', true, 10_000);
    record.follow('starting', true, 10_100);
    record.begin({ ready: true });
    record.follow('ready', true, 10_200);
    expect(record.status(20_000).downtimeMs).toBe(700);
  });

  it('counts no downtime of what was stopped on purpose', () => {
    const record = serving();
    record.follow('stopping', false, 100);
    record.follow('stopped', false, 200);
    expect(record.status(5_000)).toMatchObject({ downtimeMs: 0, serving: false });
  });
});
