import { createHmac, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  deriveIdentityKey,
  type Identity,
  signIdentity,
  verifyIdentity,
} from '../../../../src/lib/infra/security/identity-header.ts';
import { UnauthenticatedError } from '../../../../src/lib/shared/errors.ts';
import { newId, type ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';

const root = randomBytes(32);
const instanceId = newId<ServiceInstanceId>();
const key = deriveIdentityKey(root, instanceId);
const now = 1_800_000_000;

function identity(change: Partial<Identity> = {}): Identity {
  return {
    aud: instanceId,
    sub: newId(),
    name: 'owner',
    sid: newId(),
    scopes: ['admin'],
    iat: now,
    exp: now + 30,
    ...change,
  };
}

function reasonOf(verify: () => unknown): unknown {
  try {
    verify();
  } catch (error) {
    if (error instanceof UnauthenticatedError) return error.data.reason;
    throw error;
  }
  return 'accepted';
}

/** A header with a right signature over a payload that need not be an identity. */
function signRaw(payload: unknown, signer = key): string {
  const text = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)).toString('base64url');
  return `${text}.${createHmac('sha256', signer).update(text).digest('base64url')}`;
}

describe('identity header', () => {
  it('gives back what was signed, for every identity', () => {
    const arbitrary = fc.record({
      name: fc.string({ minLength: 1, maxLength: 64, unit: 'grapheme' }),
      scopes: fc.array(fc.string({ maxLength: 30 }), { maxLength: 10 }),
      life: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(arbitrary, ({ name, scopes, life }) => {
        const signed = identity({ name, scopes, exp: now + life, exec: newId() });
        const header = signIdentity(key, signed);
        expect(header).toMatch(/^[\w-]+\.[\w-]{43}$/);
        expect(verifyIdentity(key, header, { instanceId, now })).toEqual(signed);
      }),
    );
  });

  it('refuses any change of one character', () => {
    const header = signIdentity(key, identity());
    const alphabet = [...'ABCXYZabcxyz0189-_.= '];
    fc.assert(
      fc.property(fc.nat(header.length - 1), fc.constantFrom(...alphabet), (at, char) => {
        fc.pre(header[at] !== char);
        const changed = header.slice(0, at) + char + header.slice(at + 1);
        expect(reasonOf(() => verifyIdentity(key, changed, { instanceId, now }))).not.toBe('accepted');
      }),
      { numRuns: 500 },
    );
  });

  it('refuses arbitrary text with an error of its own, never another', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => signRaw(text)),
          fc.json().map((text) => signRaw(text)),
        ),
        (text) => {
          expect(reasonOf(() => verifyIdentity(key, text, { instanceId, now }))).toMatch(
            /^(missing|malformed|signature)$/,
          );
        },
      ),
    );
  });

  it('binds to one run of one server: the key and the audience of another are refused', () => {
    const other = newId<ServiceInstanceId>();
    const header = signIdentity(key, identity());
    expect(reasonOf(() => verifyIdentity(deriveIdentityKey(root, other), header, { instanceId: other, now }))).toBe(
      'signature',
    );
    expect(reasonOf(() => verifyIdentity(key, header, { instanceId: other, now }))).toBe('audience');
    expect(Buffer.from(deriveIdentityKey(root, other))).not.toEqual(Buffer.from(key));
    expect(Buffer.from(deriveIdentityKey(root, instanceId))).toEqual(Buffer.from(key));
  });

  it('holds the time: at most 60 s, not before it is made, not after it ended', () => {
    expect(() => signIdentity(key, identity({ exp: now + 61 }))).toThrow(RangeError);
    expect(() => signIdentity(key, identity({ exp: now }))).toThrow(RangeError);
    const header = signIdentity(key, identity());
    expect(reasonOf(() => verifyIdentity(key, header, { instanceId, now: now + 30 }))).toBe('expired');
    expect(reasonOf(() => verifyIdentity(key, header, { instanceId, now: now + 29.9 }))).toBe('accepted');
    expect(reasonOf(() => verifyIdentity(key, header, { instanceId, now: now - 6 }))).toBe('not_yet_valid');
    const long = signRaw({ v: 1, ...identity({ exp: now + 61 }) });
    expect(reasonOf(() => verifyIdentity(key, long, { instanceId, now }))).toBe('malformed');
  });

  it.each([
    ['no header', undefined, 'missing'],
    ['an empty header', '', 'missing'],
    ['two headers', ['a', 'b'], 'malformed'],
    ['another version', signRaw({ v: 2, ...identity() }), 'malformed'],
    ['no subject', signRaw({ v: 1, ...identity(), sub: '' }), 'malformed'],
    ['scopes that are no list', signRaw({ v: 1, ...identity(), scopes: 'admin' }), 'malformed'],
    ['a field nobody declared', signRaw({ v: 1, ...identity(), admin: true }), 'malformed'],
    ['an execution id that is no text', signRaw({ v: 1, ...identity(), exec: 1 }), 'malformed'],
    ['half seconds', signRaw({ v: 1, ...identity(), iat: now + 0.5 }), 'malformed'],
    ['a list', signRaw([]), 'malformed'],
    ['too long', `${'a'.repeat(9000)}.${'b'.repeat(43)}`, 'malformed'],
  ])('refuses %s', (_case, header, reason) => {
    expect(reasonOf(() => verifyIdentity(key, header, { instanceId, now }))).toBe(reason);
  });

  it('auth 54: says the same of every wrong signature, wherever it goes wrong', () => {
    const header = signIdentity(key, identity());
    const [payload, signature = ''] = header.split('.');
    const messages = [0, 20, signature.length - 1].map((at) => {
      const flipped = signature[at] === 'A' ? 'B' : 'A';
      const changed = `${payload}.${signature.slice(0, at)}${flipped}${signature.slice(at + 1)}`;
      try {
        return verifyIdentity(key, changed, { instanceId, now });
      } catch (error) {
        return JSON.stringify([(error as Error).message, (error as UnauthenticatedError).data]);
      }
    });
    expect(new Set(messages)).toEqual(
      new Set([JSON.stringify(['The caller did not come through the router', { reason: 'signature' }])]),
    );
  });
});
