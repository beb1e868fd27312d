import { describe, expect, it } from 'vitest';
import { normalizeEmail } from '../../../src/lib/shared/email.ts';

describe('auth 49: a mail address is normalised before it is looked at', () => {
  it.each([
    ['ada@example.com', 'ada@example.com'],
    ['  Ada.Lovelace+x@EXAMPLE.com ', 'ada.lovelace+x@example.com'],
    ['ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ', 'ada@example.com'], // full width
    ['\u212aim@example.com', 'kim@example.com'], // the Kelvin sign
    ['ada@b\u00fccher.example', 'ada@xn--bcher-kva.example'],
    ['ada@bu\u0308cher.example', 'ada@xn--bcher-kva.example'], // decomposed
    ['ada@ex\u0430mple.com', 'ada@xn--exmple-4nf.com'], // a Cyrillic a is another domain, and seen to be
    ['ada@localhost', 'ada@localhost'],
  ])('%s', (given, wanted) => {
    expect(normalizeEmail(given)).toBe(wanted);
    expect(normalizeEmail(wanted)).toBe(wanted);
  });

  it.each([
    '\u0430da@example.com', // a Cyrillic a
    'ad\u0131@example.com', // a dotless i
    '\u0130da@example.com', // folds to two characters, one of them no ASCII
    'a\u200bda@example.com',
    'ada@example.com\u0000',
    'ada@example.com\n@evil.example',
    'ada',
    '@example.com',
    'ada@',
    'a..b@example.com',
    '"a b"@example.com',
    'a b@example.com',
    'ada@[127.0.0.1]',
    'ada@exa mple.com',
    'ada@-example.com',
    'ada@a@example.com',
    `${'x'.repeat(65)}@example.com`,
    `a@${'x'.repeat(64)}.example`,
    `a@${'x.'.repeat(130)}example`,
    '\ud800@example.com',
    'x'.repeat(100_000),
  ])('refuses %j', (given) => {
    expect(normalizeEmail(given)).toBeUndefined();
  });
});
