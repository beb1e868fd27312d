import { expect, it } from 'vitest';
import { nextCommands } from '../../../src/entry/cli/next-commands.ts';
import { CancelledError, InternalError, NotFoundError, UnauthenticatedError } from '../../../src/lib/shared/errors.ts';

const place = { id: 'admin:audit:list', ids: ['doctor', 'admin:session:login', 'admin:audit:list'], delegated: false };

it('leaves what an error itself suggests', () => {
  expect(nextCommands(new NotFoundError('x', { next: ['plugins mcp list'] }), place)).toEqual(['plugins mcp list']);
});

it('tells where to look when the error does not', () => {
  expect(nextCommands(new InternalError('x'), place)).toEqual(['doctor']);
  expect(nextCommands(new NotFoundError('x'), place)).toEqual(['admin audit list --help']);
  expect(nextCommands(new InternalError('x'), { ...place, id: 'doctor' })).toEqual(['doctor --help']);
  expect(nextCommands(new NotFoundError('x'), { ...place, id: undefined })).toEqual(['--help']);
});

it('suggests only what is there, and through the tool no sign-in of the machine', () => {
  expect(nextCommands(new InternalError('x'), { ...place, ids: [] })).toEqual(['admin audit list --help']);
  expect(nextCommands(new UnauthenticatedError('x'), place)).toEqual(['admin session login']);
  expect(nextCommands(new UnauthenticatedError('x'), { ...place, delegated: true })).toEqual([
    'admin audit list --help',
  ]);
});

it('suggests nothing to who ended it', () => {
  expect(nextCommands(new CancelledError('x'), place)).toEqual([]);
});
