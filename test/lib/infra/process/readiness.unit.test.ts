import { describe, expect, it } from 'vitest';
import { type Readiness, ReadinessCheck } from '../../../../src/lib/infra/process/readiness.ts';
import { until } from '../../../helpers/until.ts';

function check(look: (signal: AbortSignal) => Promise<Readiness>, holdMs = 0) {
  const errors: unknown[] = [];
  return { errors, check: new ReadinessCheck(look, { boundMs: 30, holdMs }, (error) => errors.push(error)) };
}

describe('a look at readiness', () => {
  it('is answered as it comes', async () => {
    const answers: Readiness[] = [{ ready: true }, { ready: false, reason: 'away' }];
    const { check: made } = check(async () => answers.shift() ?? { ready: true });
    expect(await made.current()).toEqual({ ready: true });
    expect(await made.current()).toEqual({ ready: false, reason: 'away' });
  });

  it('that hangs counts as no, is told so, and is not begun a second time', async () => {
    const answer = Promise.withResolvers<Readiness>();
    const signals: AbortSignal[] = [];
    const { check: made } = check((signal) => {
      signals.push(signal);
      return answer.promise;
    });
    for (let round = 0; round < 2; round += 1) {
      expect(await made.current()).toEqual({ ready: false, reason: 'no answer within 30 ms' });
    }
    expect(signals).toHaveLength(1);
    expect(signals[0]?.aborted).toBe(true);
    answer.resolve({ ready: true });
    expect(await made.current()).toEqual({ ready: true });
  });

  it('that throws counts as no; the error is for the log alone, once in a row', async () => {
    const { check: made, errors } = check(async () => {
      throw new Error('password is canary');
    });
    const answer = await made.current();
    await made.current();
    expect(answer.ready).toBe(false);
    expect(JSON.stringify(answer)).not.toContain('canary');
    expect(errors).toHaveLength(1);
  });

  it('holds for a while, whoever asks', async () => {
    let looks = 0;
    const { check: made } = check(async () => {
      looks += 1;
      return { ready: true };
    }, 60_000);
    await Promise.all([made.current(), made.current(), made.current()]);
    await made.current();
    expect(looks).toBe(1);
  });

  it('holds a no for a moment only', async () => {
    let looks = 0;
    const { check: made } = check(async () => {
      looks += 1;
      return looks === 1 ? { ready: false } : { ready: true };
    }, 60_000);
    expect(await made.current()).toEqual({ ready: false });
    await until('it is looked at again', async () => (await made.current()).ready, 5_000);
    expect(looks).toBe(2);
  });
});
