import { UrlElicitationRequiredError } from '@modelcontextprotocol/server';
import { expect, it } from 'vitest';
import { pagesWithoutSecrets } from '../../../src/entry/mcp/result.ts';
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

it('names no secret in the pages that are to be opened first', () => {
  const { blank } = guardArguments(new KnownSecrets(), { token: 'mine alone' }, new Set());
  const page = { mode: 'url', message: 'For mine alone.', url: 'https://pay.example/1', elicitationId: 'e1' } as const;
  const told = pagesWithoutSecrets(new UrlElicitationRequiredError([page], 'Pay for mine alone'), blank);
  expect([told.message, told.elicitations]).toEqual(['Pay for [redacted]', [{ ...page, message: 'For [redacted].' }]]);
});
