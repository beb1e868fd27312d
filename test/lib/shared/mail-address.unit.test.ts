import { describe, expect, it } from 'vitest';
import { normaliseMailAddress } from '../../../src/lib/shared/mail-address.ts';

describe('auth 49: a mail address', () => {
  it.each([
    ['Ada@Example.COM', 'ada@example.com'],
    ['  ada@example.com. ', 'ada@example.com'],
    ['ada+mcp@example.com', 'ada+mcp@example.com'],
    ['ada@localhost', 'ada@localhost'],
    // Fullwidth letters and the fullwidth at sign become what they look like.
    ['ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ', 'ada@example.com'],
    ['ﬁn@example.com', 'fin@example.com'],
    // A domain that merely looks like another is another.
    ['ada@exаmple.com', 'ada@xn--exmple-4nf.com'],
    ['ada@münchen.de', 'ada@xn--mnchen-3ya.de'],
    ['ada@example。com', 'ada@example.com'],
  ])('%s is %s', (given, normal) => {
    expect(normaliseMailAddress(given)).toBe(normal);
  });

  it.each([
    '',
    'ada',
    '@example.com',
    'ada@',
    'ada@@example.com',
    'ada@evil.example@example.com',
    'аda@example.com', // Cyrillic a
    'ıda@example.com', // dotless i
    '"ada"@example.com',
    'ada <ada@example.com>',
    'ada@example.com\r\nBcc: eve@example.com',
    'ada@example.com, eve@example.com',
    'a..b@example.com',
    '.ada@example.com',
    'ada@exa mple.com',
    'ada@example.com/..',
    'ada@[127.0.0.1]',
    'ada@127.0.0.1',
    'ada@0x7f.1',
    'ada@-example.com',
    'ada@example..com',
    'ada\u0000@example.com',
    `${'a'.repeat(65)}@example.com`,
    `ada@${'a.'.repeat(130)}com`,
    'x'.repeat(2000),
  ])('%j is none', (given) => {
    expect(normaliseMailAddress(given)).toBeUndefined();
  });

  it('stays what it is', () => {
    expect(normaliseMailAddress(normaliseMailAddress('Ada@ExAmple.com') ?? '')).toBe('ada@example.com');
  });
});
