import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorEnvelope, errorText } from '../../../../src/entry/cli/output/errors.ts';
import { openSession } from '../../../../src/entry/cli/session.ts';
import { DatabaseUnavailableError, InternalError, PreconditionError } from '../../../../src/lib/shared/errors.ts';

const pipe = {} as never;
const session = (...argv: string[]) =>
  openSession({ argv, env: {}, cwd: '/', script: '/usr/bin/systemprompt', stdin: {}, stdout: pipe, stderr: pipe });

describe('errorText', () => {
  it('says what failed, why, how to mend it and which commands help, in this order', () => {
    const error = new DatabaseUnavailableError('The database can’t be reached', {
      cause: new Error('connect ECONNREFUSED 127.0.0.1:5432'),
      hint: 'Start it first',
      next: ['infra services start', 'doctor'],
    });
    expect(errorText(error, session())).toBe(
      [
        'Error: The database can’t be reached',
        '  because: connect ECONNREFUSED 127.0.0.1:5432',
        'Start it first',
        '  systemprompt infra services start',
        '  systemprompt doctor',
      ].join('\n'),
    );
  });

  it('shows the end of a log between the failure and the way out', () => {
    const error = new PreconditionError('api failed', { data: { log: ['one', 'two\u001B[2J'] }, hint: 'Look there' });
    expect(errorText(error, session())).toBe('Error: api failed\n\n  one\n  two\n\nLook there');
  });

  it('does not repeat a cause that the message names', () => {
    const cause = new Error('no such file');
    expect(errorText(new InternalError('Failed: no such file', { cause }), session())).toBe(
      'Error: Failed: no such file',
    );
  });

  it('leaves out that a socket of ours is not there, and has no full stop before a colon', () => {
    const cause = Object.assign(new Error('connect ENOENT /run/sp/control.sock'), {
      code: 'ENOENT',
      syscall: 'connect',
      address: '/run/sp/control.sock',
    });
    expect(errorText(new InternalError('It is not running.', { cause }), session())).toBe('Error: It is not running.');
    expect(errorEnvelope(new InternalError('It is not running.', { cause }), session()).error.message).toBe(
      'It is not running.',
    );
    const other = new InternalError('It failed.', { cause: new Error('why') });
    expect(errorEnvelope(other, session()).error.message).toBe('It failed: why');
  });

  it('shows stacks with --debug only', () => {
    const error = new InternalError('Failed', { cause: new Error('deep') });
    expect(errorText(error, session())).not.toContain('    at ');
    expect(errorText(error, session('--debug'))).toMatch(/ {4}at .*[\s\S]*caused by: Error: deep/);
  });
});

describe('errorEnvelope', () => {
  it('has named fields only, and commands as they can be run', () => {
    const error = new PreconditionError('No instance', { next: ['infra services start'], data: { secret: 'canary' } });
    expect(errorEnvelope(error, session('--profile', 'p'))).toEqual({
      ok: false,
      error: { code: 'PRECONDITION', message: 'No instance', next: ['systemprompt infra services start --profile p'] },
    });
  });

  it('is smaller than 4 kB whatever the error holds', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20_000 });
    fc.assert(
      fc.property(text, text, fc.array(text, { maxLength: 20 }), text, (message, hint, next, why) => {
        const error = new InternalError(message, { hint, next, cause: new Error(why) });
        const bytes = Buffer.byteLength(JSON.stringify(errorEnvelope(error, session())));
        expect(bytes).toBeLessThan(4096);
      }),
      { numRuns: 200 },
    );
  });
});
