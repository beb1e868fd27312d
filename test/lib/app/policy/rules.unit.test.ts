import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matcherOf } from '../../../../src/lib/app/policy/matcher.ts';
import { compileSchema, ruleOf } from '../../../../src/lib/app/policy/rules.ts';
import { readAfter, readBefore } from '../../../../src/lib/app/policy/verdict.ts';
import { blankSecrets, scanForSecrets } from '../../../../src/lib/domain/governance/index.ts';

describe('the scanner of secrets', () => {
  const random = 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0';
  it.each([
    ['GitHub token', `ghp_${random.slice(0, 36)}`],
    ['GitLab token', `glpat-${random.slice(0, 20)}`],
    ['API key', `sk-proj-${random}`],
    ['API key', `sk-ant-api03-${random}`],
    ['AWS access key', 'AKIAIOSFODNN7QZ2LPLX'],
    ['Google API key', `AIza${random.slice(0, 35)}`],
    ['Slack token', `xoxb-123456789012-${random.slice(0, 24)}`],
    ['Stripe key', `sk_live_${random.slice(0, 24)}`],
    ['JSON Web Token', `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.${random}`],
    ['private key', `-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA${random}`],
    ['password in an address', 'postgres://app:Xk29fLq8Zp@db.internal/app'],
  ])('finds a %s', (kind, text) => {
    expect(scanForSecrets(`before ${text} after`)).toEqual([{ kind }]);
    expect(blankSecrets(`before ${text} after`)).toContain('[redacted]');
    expect(scanForSecrets(blankSecrets(`before ${text} after`))).toEqual([]);
  });

  it.each([
    'password: must be at least 8 characters',
    'Authorization: Bearer <token>',
    'sk-learn-contrib-imbalanced-learning-tools',
    'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    'AKIAIOSFODNN7EXAMPLE',
    'postgres://user:${DB_PASSWORD}@localhost/db',
    'https://user:changeme-please@example.com',
    'see https://example.com/a:b@c and mail a@example.com',
    '-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----',
    '9fceb02d0ae598e95dc970b74767f19372d61af8',
    'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4',
    'npm_config_registry=https://packages.example.com',
  ])('does not find one in %s', (text) => {
    expect(scanForSecrets(text)).toEqual([]);
    expect(blankSecrets(text)).toBe(text);
  });

  it('takes no longer for a text that was made to make it slow', () => {
    for (const piece of ['sk-', '://a:', 'eyJ', '-----BEGIN A PRIVATE KEY-----', 'xoxb-1', 'AKIA']) {
      const since = performance.now();
      scanForSecrets(piece.repeat(200_000 / piece.length));
      expect(performance.now() - since, piece).toBeLessThan(2000);
    }
  });
});

it('a matcher is names, or a pattern that may match anywhere; by either name of a tool', () => {
  const hits = (matcher: string, tool: string) => matcherOf(matcher)('files', tool);
  expect(
    ['*', '', 'read|write', 'write', 'mcp__files__write', '^wri', 'mcp__.*__write', 'rit.'].map((m) =>
      hits(m, 'write'),
    ),
  ).toEqual(Array(8).fill(true));
  expect(['read', 'writ', 'Write', 'mcp__files__', 'mcp__other__.*'].map((m) => hits(m, 'write'))).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
  // A name with a hyphen means that name.
  expect(hits('read-file', 'read-file-2')).toBe(false);
});

it('a rule about an argument at a path sees it, whatever else is named like the path', async () => {
  const deny = await ruleOf({ type: 'deny', tools: '*', arguments: { 'to.host': '^evil' } });
  const verdicts = [
    { to: { host: 'evil.example' } },
    { 'to.host': 'evil.example' },
    { 'to.host': 'fine.example', to: { host: 'evil.example' } },
    { 'to.host': 'evil.example', to: { host: 'fine.example' } },
    { 'to.host': 'fine.example', to: { host: 'fine.example' } },
    { to: 'evil.example' },
  ].map((input) => deny(input).verdict);
  expect(verdicts).toEqual(['deny', 'deny', 'deny', 'deny', 'allow', 'allow']);
});

it('a schema with words that are not known is refused', async () => {
  await expect(compileSchema({ type: 'array', prefixItems: [{ type: 'string' }] })).rejects.toThrow(/prefixItems/);
  await expect(compileSchema({ type: 'nonsense' })).rejects.toThrow();
  expect((await compileSchema({ required: ['a'] }))({})).toMatch(/required property 'a'/);
});

it('only a verdict is one', () => {
  for (const read of [readBefore, readAfter]) {
    for (const text of [
      '',
      'null',
      '{}',
      '[]',
      '"allow"',
      '{"decision":"maybe"}',
      '{"decision":"allow","and":1}',
      '{',
    ] as const) {
      expect(() => read(text), text).toThrow(SyntaxError);
    }
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(() => read(text)).toThrow(SyntaxError);
      }),
    );
  }
  expect(() => readBefore('{"decision":"deny","input":{}}')).toThrow(SyntaxError);
  expect(readAfter('{"decision":"block","reason":"x"}')).toEqual({ verdict: 'deny', reason: 'x' });
});
