import { describe, expect, it } from 'vitest';
import { exitCodeOf, exitCodes } from '../../../src/entry/cli/exit.ts';
import { fromThrown, unknownFlag } from '../../../src/entry/cli/usage-errors.ts';
import { CancelledError, ConfigInvalidError, NotFoundError } from '../../../src/lib/shared/errors.ts';

describe('exit codes', () => {
  it('are the ones of the manual', () => {
    expect(exitCodes).toEqual({
      USAGE: 2,
      NOT_FOUND: 3,
      UNAUTHENTICATED: 4,
      FORBIDDEN: 4,
      ANSWER_NEEDED: 5,
      CONFIG_INVALID: 6,
      PRECONDITION: 6,
      PORT_TAKEN: 6,
      DATABASE_UNAVAILABLE: 6,
      SUPERVISOR_UNAVAILABLE: 6,
      API_UNAVAILABLE: 6,
      AUDIT_UNAVAILABLE: 6,
      UPSTREAM_UNAVAILABLE: 1,
      UPSTREAM_FAILED: 1,
      TOO_LARGE: 1,
      RATE_LIMITED: 1,
      CONFLICT: 1,
      INTERNAL: 1,
      TIMEOUT: 7,
      PARTIAL: 8,
      CANCELLED: 130,
    });
  });

  it('tell which signal ended a command', () => {
    expect(exitCodeOf(new CancelledError('Interrupted'))).toBe(130);
    expect(exitCodeOf(new CancelledError('Interrupted', { data: { signal: 'SIGTERM' } }))).toBe(143);
    expect(exitCodeOf(new CancelledError('Interrupted', { data: { signal: 'SIGNOPE' } }))).toBe(130);
  });

  it('take what nobody expected for a failure', () => {
    expect(exitCodeOf(fromThrown(new TypeError('x is not a function'), undefined))).toBe(1);
    expect(exitCodeOf(fromThrown('a string', undefined))).toBe(1);
  });

  it('leave our own errors as they are', () => {
    const error = new NotFoundError('gone');
    expect(fromThrown(error, undefined)).toBe(error);
    expect(exitCodeOf(new ConfigInvalidError([]))).toBe(6);
  });
});

describe('unknownFlag', () => {
  const command = { id: 'infra:services:logs', flags: ['lines', 'follow', 'json', 'help'] };

  it('names what looks like it', () => {
    const error = unknownFlag('--folow=1', command);
    expect(error.message).toBe('Unknown flag --folow for infra services logs');
    expect(error.hint).toBe('Did you mean --follow?');
    expect(error.next).toEqual(['infra services logs --help']);
  });

  it('does not guess where nothing is near, nor repeat what is long', () => {
    const error = unknownFlag(`--${'x'.repeat(5000)}`, command);
    expect(error.hint).toBeUndefined();
    expect(error.message.length).toBeLessThan(150);
  });
});
