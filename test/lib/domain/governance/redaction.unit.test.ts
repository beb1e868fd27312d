import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../../src/lib/domain/governance/canonical-json.ts';
import {
  auditInput,
  maxErrorLength,
  maxInputLength,
  redactText,
} from '../../../../src/lib/domain/governance/redaction.ts';

const canary = 'Canary7Zq1Xw9';

/** Texts that hold the canary in a shape that gives it away, whatever stands around it. */
const shapes: readonly string[] = [
  `Bearer ${canary}`,
  `Authorization: Bearer ${canary}`,
  `Basic ${canary}==`,
  `eyJhbGciOiJFUzI1NiJ9.${canary}.${canary}`,
  `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----`,
  `-----BEGIN EC PRIVATE KEY-----\n${canary}`,
  `sk-${canary}${canary}`,
  `sk_live_${canary}`,
  `ghp_${canary}${canary}`,
  `github_pat_${canary}`,
  `xoxb-${canary}`,
  `AKIA${canary.toUpperCase()}`,
  `AIza${canary}${canary}`,
  `postgres://owner:${canary}@localhost:5432/db`,
  `password=${canary}`,
  `"password": "two words ${canary}"`,
  `{"client_secret":"${canary}"}`,
  `{\\"api_key\\":\\"${canary}\\"}`,
  `API_KEY: ${canary}`,
  `https://example.com/?access_token=${canary}&x=1`,
  `--password ${canary}`,
  `cloud secrets set --api-key '${canary} more'`,
];

describe('canonicalJson', () => {
  it('is the same text for the same value whatever the order of members and the white space', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        const reordered = JSON.stringify(reverseMembers(JSON.parse(text)), null, 2);
        expect(canonicalJson(JSON.parse(reordered))).toBe(canonicalJson(JSON.parse(text)));
        expect(JSON.parse(canonicalJson(JSON.parse(text)))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('orders members by UTF-16 code units (RFC 8785 §3.2.3)', () => {
    expect(canonicalJson({ '10': 1, '9': 2, b: 3, a: 4, '\u20ac': 5, '\ud83d\ude00': 6, '\ufb33': 7 })).toBe(
      '{"10":1,"9":2,"a":4,"b":3,"\u20ac":5,"\ud83d\ude00":6,"\ufb33":7}',
    );
  });
});

describe('redactText', () => {
  it.each(shapes)('hides the secret of %s', (shape) => {
    expect(redactText(`before ${shape} after`).toLowerCase()).not.toContain(canary.toLowerCase());
  });

  it('hides every shape inside any text', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...shapes), fc.string(), (before, shape, after) => {
        expect(redactText(`${before} ${shape} ${after}`).toLowerCase()).not.toContain(canary.toLowerCase());
      }),
    );
  });

  it('leaves ordinary text as it is', () => {
    for (const text of ['spin the author up', 'Task 4711 done in 3 s', 'unknown tool "x"', 'passenger list: 3']) {
      expect(redactText(text)).toBe(text);
    }
  });

  it('removes known secrets, bounds the length, and gives the same again', () => {
    expect(redactText('refused hunter-two', ['hunter-two'])).toBe('refused [redacted]');
    expect(redactText('x'.repeat(100_000))).toHaveLength(maxErrorLength + 1);
    fc.assert(
      fc.property(fc.constantFrom(...shapes), (shape) => {
        const once = redactText(shape);
        expect(redactText(once)).toBe(once);
      }),
    );
  });

  it('takes time linear in the text, whatever the text', () => {
    for (const unit of [
      'a',
      '-',
      '--a',
      'token',
      'token ',
      '"',
      '://',
      '-----BEGIN PRIVATE KEY-----',
      'eyJaaaaaaaa.',
      'Bearer ',
    ]) {
      const started = performance.now();
      redactText(unit.repeat(100_000 / unit.length), [], 50_000);
      expect(performance.now() - started, unit).toBeLessThan(2_000);
    }
  });
});

describe('auditInput', () => {
  it('hides what goes under a secret name, and remembers it', () => {
    const names = [
      'password',
      'db_password',
      'clientSecret',
      'API-KEY',
      'accessToken',
      'Authorization',
      'cookie',
      'pin',
    ];
    for (const name of names) {
      const { json, secrets } = auditInput({ deep: [{ [name]: canary }] });
      expect(json, name).not.toContain(canary);
      expect(secrets).toEqual([canary]);
    }
    expect(auditInput({ password: { first: canary, list: [canary] } }).json).toBe('{"password":"[redacted]"}');
    expect(auditInput({ pin: 1234 }).json).toBe('{"pin":"[redacted]"}');
  });

  it('hides the value of a secret flag in an argument list', () => {
    const { json, secrets } = auditInput({ args: ['cloud', 'secrets', 'set', '--api-token', canary, '--force'] });
    expect(JSON.parse(json)).toEqual({ args: ['cloud', 'secrets', 'set', '--api-token', '[redacted]', '--force'] });
    expect(secrets).toEqual([canary]);
    expect(auditInput({ args: [`--password=${canary}`] }).json).not.toContain(canary);
  });

  it('hides a secret known by its name wherever else the same input quotes it', () => {
    const { json } = auditInput({ text: `log in with ${canary}`, password: canary, [`key ${canary}`]: [canary] });
    expect(json).toBe('{"text":"log in with [redacted]","password":"[redacted]","key [redacted]":["[redacted]"]}');
  });

  it('hides arguments that the configuration marks secret', () => {
    expect(auditInput({ note: canary, other: 1 }, new Set(['note'])).json).toBe('{"note":"[redacted]","other":1}');
  });

  it('leaves what is no secret', () => {
    const input = { args: ['infra', 'services', 'status'], max_tokens: 4096, enabled: true, author: 'x', __proto: 1 };
    expect(JSON.parse(auditInput(input).json)).toEqual(input);
    const own = JSON.parse('{"__proto__":{"password":"x1234"},"token":"y1234"}') as unknown;
    expect(auditInput(own).json).toBe('{"__proto__":{"password":"[redacted]"},"token":"[redacted]"}');
  });

  it('finds a planted secret in any input, keeps valid JSON within the bound that PostgreSQL takes', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.jsonValue(),
        fc.constantFrom(...shapes),
        fc.string(),
        (left, right, shape, text) => {
          const input = JSON.parse(
            JSON.stringify({ left, planted: `${text} ${shape}`, right, secret: canary }),
          ) as unknown;
          const { json } = auditInput(input);
          expect(json.toLowerCase()).not.toContain(canary.toLowerCase());
          expect(json.length).toBeLessThanOrEqual(maxInputLength);
          expect(() => JSON.parse(json)).not.toThrow();
          expect(json).not.toMatch(/\\u0000|\\ud[89a-f]/);
        },
      ),
    );
  });

  it('bounds size and depth, and digests the whole', () => {
    const long = { text: 'a'.repeat(1_000_000), list: Array.from({ length: 50_000 }, (_, index) => index) };
    const audited = auditInput(long);
    expect(audited.json.length).toBeLessThanOrEqual(maxInputLength);
    expect(audited.digest).not.toBe(auditInput({ ...long, text: `${long.text}b` }).digest);
    let deep: unknown = 'token';
    for (let level = 0; level < 100; level += 1) deep = [deep];
    expect(() => JSON.parse(auditInput(deep).json)).not.toThrow();
    const escapes = auditInput({ text: '\u0001'.repeat(50_000), token: 1 });
    expect(escapes.json.length).toBeLessThanOrEqual(maxInputLength);
    expect(() => JSON.parse(escapes.json)).not.toThrow();
  });

  it('replaces what jsonb refuses: U+0000 and lone surrogates', () => {
    expect(auditInput({ a: 'x\0y', b: '\ud800' }).json).toBe('{"a":"x\ufffdy","b":"\ufffd"}');
    expect(auditInput({ 'k\0': 1 }).json).toBe('{"k\ufffd":1}');
  });
});

function reverseMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseMembers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reverseMembers(inner)]),
  );
}
