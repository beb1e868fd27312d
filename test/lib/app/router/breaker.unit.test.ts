import { beforeEach, describe, expect, it } from 'vitest';
import { Breakers, type CircuitState } from '../../../../src/lib/app/router/breaker.ts';
import {
  CancelledError,
  ForbiddenError,
  TimeoutError,
  TooLargeError,
  UpstreamFailedError,
} from '../../../../src/lib/shared/errors.ts';

const clock = { now: 0 };
const changes: (readonly [string, CircuitState])[] = [];
const alpha = { name: 'alpha', breaker: { failures: 3, cooldownMs: 10_000 } };
const timeout = new TimeoutError('The tool did not answer.');
const unreachable = new UpstreamFailedError('The server could not be reached.', { data: { reason: 'ECONNREFUSED' } });
let breakers: Breakers;

beforeEach(() => {
  clock.now = 0;
  changes.length = 0;
  breakers = new Breakers({ now: () => clock.now, onChange: (server, state) => changes.push([server, state]) });
});

const fail = (times: number, error: Error = unreachable) => {
  for (let n = 0; n < times; n += 1) breakers.record(alpha, error);
};

describe('a circuit', () => {
  it('opens after so many failures in a row, and says until when', () => {
    fail(2, timeout);
    expect(breakers.refusal(alpha)).toBeUndefined();
    fail(1);
    const refusal = breakers.refusal(alpha);
    expect(refusal).toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      data: { server: 'alpha', reason: 'circuit_open', retry_after_seconds: 10 },
    });
    clock.now = 4500;
    expect(breakers.refusal(alpha)?.data).toMatchObject({ retry_after_seconds: 6 });
    expect(breakers.refusal({ ...alpha, name: 'beta' })).toBeUndefined();
  });

  it('stays closed as long as there is an answer in between', () => {
    fail(2);
    breakers.record(alpha);
    fail(2);
    expect(breakers.stateOf('alpha')).toBe('closed');
  });

  it.each([
    ['garbage', new UpstreamFailedError('The server sent what is not JSON.')],
    ['a status of its own', new UpstreamFailedError('The server answered with status 500.', { data: { status: 500 } })],
    ['too large an answer', new TooLargeError('The answer is larger than 10 bytes.')],
    ['a client that left', new CancelledError('The client left.')],
    ['a refusal of ours', new ForbiddenError('No')],
  ])('is not concerned with %s', (_, error) => {
    fail(10, error);
    expect(breakers.stateOf('alpha')).toBe('closed');
  });

  it('counts a bridge that says that nobody answers behind it', () => {
    fail(3, new UpstreamFailedError('The server answered with status 502.', { data: { status: 502 } }));
    expect(breakers.stateOf('alpha')).toBe('open');
  });

  it('lets one request through after the pause: an answer closes it, a failure opens it again', () => {
    fail(3);
    clock.now = 10_000;
    expect(breakers.refusal(alpha)).toBeUndefined();
    expect(breakers.refusal(alpha)).toBeDefined();
    fail(1);
    expect(breakers.stateOf('alpha')).toBe('open');
    clock.now = 20_000;
    expect(breakers.refusal(alpha)).toBeUndefined();
    breakers.record(alpha);
    expect(breakers.refusal(alpha)).toBeUndefined();
    expect(changes.map(([, state]) => state)).toEqual(['open', 'half_open', 'open', 'half_open', 'closed']);
    // It begins to count anew.
    fail(2);
    expect(breakers.stateOf('alpha')).toBe('closed');
  });

  it('is tried by the next one when the one that tried was taken back, or nobody heard of it', () => {
    fail(3);
    clock.now = 10_000;
    expect(breakers.refusal(alpha)).toBeUndefined();
    breakers.record(alpha, new CancelledError('The client left.'));
    expect(breakers.refusal(alpha)).toBeUndefined();
    expect(breakers.refusal(alpha)).toBeDefined();
    clock.now = 20_000;
    expect(breakers.refusal(alpha)).toBeUndefined();
  });

  it('does not hear late failures twice, and forgets a run that is over', () => {
    fail(3);
    expect(breakers.notClosed()).toEqual({ alpha: 'open' });
    clock.now = 9000;
    fail(5);
    clock.now = 10_000;
    expect(breakers.refusal(alpha)).toBeUndefined();
    breakers.forget('alpha');
    expect(breakers.stateOf('alpha')).toBe('closed');
    expect(breakers.notClosed()).toEqual({});
  });

  it('is not there for a server without one', () => {
    for (let n = 0; n < 50; n += 1) breakers.record({ name: 'free', breaker: undefined }, unreachable);
    expect(breakers.refusal({ name: 'free', breaker: undefined })).toBeUndefined();
  });
});
