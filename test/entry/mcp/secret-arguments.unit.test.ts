import { expect, it } from 'vitest';
import { guardArguments } from '../../../src/entry/mcp/secret-arguments.ts';
import { KnownSecrets } from '../../../src/lib/infra/logging/known-secrets.ts';

it('tells no caller by a blank what another one has given', () => {
  const secrets = new KnownSecrets();
  secrets.add('from-the-environment');
  guardArguments(secrets, { token: 'pin 4711 of another' }, new Set());
  const mine = guardArguments(secrets, { token: 'mine alone', note: 'said' }, new Set(['note']));
  const text = 'no pin 4711 of another, mine alone, said, from-the-environment';
  expect(mine.blank(text)).toBe('no pin 4711 of another, [redacted], [redacted], [redacted]');
  expect(secrets.blank(text)).toBe('no [redacted], [redacted], [redacted], [redacted]');
});
