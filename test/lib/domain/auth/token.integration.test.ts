import { createHmac, randomUUID } from 'node:crypto';
import {
  type CryptoKey,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mcpAudience } from '../../../../src/lib/app/identity.ts';
import type { Claims, IssueRequest } from '../../../../src/lib/domain/auth/index.ts';
import type { User } from '../../../../src/lib/domain/users/index.ts';
import { ForbiddenError, UsageError } from '../../../../src/lib/shared/errors.ts';
import type { SessionId } from '../../../../src/lib/shared/ids.ts';
import {
  externalUrl,
  maxTtlSeconds,
  openTestIdentity,
  refusalOf,
  type TestIdentity,
} from '../../../helpers/identity.ts';

const audience = mcpAudience(externalUrl, 'alpha');
const now = () => Math.floor(Date.now() / 1000);
let test: TestIdentity;
let owner: User;

beforeAll(async () => {
  test = await openTestIdentity();
  owner = await test.identity.users.ensureOwner();
});
afterAll(() => test?.close());

async function request(change: Partial<IssueRequest> = {}): Promise<IssueRequest> {
  const ttlSeconds = change.ttlSeconds ?? 600;
  const session = await test.identity.sessions.begin({ userId: owner.id, client: 'test', ttlSeconds: 600 });
  return { user: owner, sessionId: session.id, audience, scopes: ['admin'], ttlSeconds, client: 'test', ...change };
}

async function issue(change: Partial<IssueRequest> = {}): Promise<string> {
  return (await test.identity.issuer.issue(await request(change))).token;
}

const verify = (token: string, at = audience): Promise<Claims> => test.identity.verifier.verify(token, at);

/** The instance's own signing key, as only a thief of the master key would have it. */
async function ownKey(): Promise<{ kid: string; jwk: JWK; publicJwk: JWK }> {
  const [row] = await test.owner.query<{ kid: string; private_jwe: string; public_jwk: JWK }>(
    "SELECT kid, private_jwe, public_jwk FROM signing_keys WHERE status = 'active'",
  );
  if (row === undefined) throw new Error('no active key');
  const jwk = JSON.parse(new TextDecoder().decode(await test.secrets.open(row.private_jwe))) as JWK;
  return { kid: row.kid, jwk, publicJwk: row.public_jwk };
}

const goodClaims = (): JWTPayload => ({
  iss: externalUrl,
  aud: audience,
  sub: owner.id,
  sid: randomUUID(),
  jti: randomUUID(),
  client_id: 'test',
  name: 'owner',
  scope: 'admin',
  iat: now(),
  exp: now() + 300,
});

/** A token signed by the right key, with one thing wrong. */
async function forge(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
  const { kid, jwk } = await ownKey();
  return new SignJWT({ ...goodClaims(), ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid, ...header })
    .sign(await importJWK(jwk, 'ES256'));
}

describe('access tokens', () => {
  it('say who, for what, for how long: RFC 9068', async () => {
    const issued = await test.identity.issuer.issue(await request({ scopes: ['admin', 'tools:read', 'admin'] }));
    const [header, payload] = issued.token
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: (await ownKey()).kid });
    expect(Object.keys(payload).sort()).toEqual([
      'access_version',
      'aud',
      'client_id',
      'exp',
      'iat',
      'iss',
      'jti',
      'name',
      'scope',
      'sid',
      'sub',
    ]);
    expect(payload.aud).toBe(audience);
    expect(issued.scopes).toEqual(['admin', 'tools:read']);
    const claims = await verify(issued.token);
    expect(claims).toMatchObject({
      sub: owner.id,
      name: 'owner',
      aud: audience,
      client: 'test',
      scopes: issued.scopes,
    });
    expect(new Date(claims.exp * 1000)).toEqual(issued.expiresAt);
  });

  it('auth 12: a token for server A is refused by server B, same key and issuer', async () => {
    const token = await issue();
    await verify(token); // remembered now: the memory must not forget the audience
    expect(await refusalOf(verify(token, mcpAudience(externalUrl, 'beta')))).toBe('audience');
    expect(await refusalOf(verify(token, `${audience}/`))).toBe('audience');
    expect(await refusalOf(verify(token, `${externalUrl}/api/v1`))).toBe('audience');
    expect(await refusalOf(verify(token))).toBe('accepted');
  });

  describe('auth 13: refuses', () => {
    it.each<[string, () => Promise<string>, string]>([
      ['another issuer', () => forge({ iss: 'https://evil.example' }), 'issuer'],
      ['another audience', () => forge({ aud: 'https://evil.example' }), 'audience'],
      ['no audience', () => forge({ aud: undefined }), 'audience'],
      ['several audiences, ours among them', () => forge({ aud: [audience, 'https://evil.example'] }), 'malformed'],
      ['an audience list of one', () => forge({ aud: [audience] }), 'malformed'],
      ['an ID token', () => forge({}, { typ: 'JWT' }), 'type'],
      ['no type', () => forge({}, { typ: undefined }), 'type'],
      ['expired', () => forge({ iat: now() - 100, exp: now() - 6 }), 'expired'],
      ['no expiry', () => forge({ exp: undefined }), 'malformed'],
      ['not before later', () => forge({ nbf: now() + 60 }), 'not_yet_valid'],
      ['issued in the future', () => forge({ iat: now() + 60, exp: now() + 120 }), 'not_yet_valid'],
      ['an unknown key', () => forge({}, { kid: 'nobody' }), 'unknown_key'],
      ['no key name', () => forge({}, { kid: undefined }), 'unknown_key'],
      ['a critical header that is not understood', () => handMade({ crit: ['x'], x: 1 }), 'malformed'],
      ['no session', () => forge({ sid: undefined }), 'malformed'],
      ['a subject that is no id', () => forge({ sub: 'owner' }), 'malformed'],
      ['scopes that are no text', () => forge({ scope: ['admin'] }), 'malformed'],
      ['alg none', async () => new UnsecuredJWT(goodClaims()).encode(), 'algorithm'],
      ['not a token', async () => 'abc', 'malformed'],
      ['far too long', async () => `${await forge({})}${'A'.repeat(9000)}`, 'malformed'],
    ])('%s', async (_what, make, reason) => {
      const token = await make();
      expect(await refusalOf(verify(token))).toBe(reason);
    });

    it('an own key in the header, and a key of the same name', async () => {
      const thief = await generateKeyPair('ES256', { extractable: true });
      const { kid, publicJwk } = await ownKey();
      const sign = (header: object) =>
        new SignJWT(goodClaims())
          .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid, ...header })
          .sign(thief.privateKey);
      expect(await refusalOf(verify(await sign({})))).toBe('signature');
      expect(await refusalOf(verify(await sign({ jwk: publicJwk, jku: 'https://evil.example/jwks' })))).toBe(
        'signature',
      );
    });

    it('HS256 with the public key as its secret', async () => {
      const { kid, publicJwk } = await ownKey();
      const pem = await exportSPKI((await importJWK(publicJwk, 'ES256', { extractable: true })) as CryptoKey);
      for (const secret of [pem, JSON.stringify(publicJwk)]) {
        const body = `${encode({ alg: 'HS256', typ: 'at+jwt', kid })}.${encode(goodClaims())}`;
        const token = `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
        expect(await refusalOf(verify(token))).toBe('algorithm');
      }
    });

    it('a signature with its last bits changed, and a payload of another token', async () => {
      const [first, second] = [await issue(), await issue({ scopes: ['user'] })];
      const [header, payload, signature] = first.split('.');
      expect(await refusalOf(verify(`${header}.${second.split('.')[1]}.${signature}`))).toBe('signature');
      expect(await refusalOf(verify(`${header}.${payload}.${'A'.repeat(86)}`))).toBe('signature');
      expect(await refusalOf(verify(first))).toBe('accepted');
    });
  });

  it('auth 16: no token lives longer than configured, whoever made it', async () => {
    expect(await refusalOf(verify(await forge({ exp: now() + maxTtlSeconds + 60 })))).toBe('lifetime');
    for (const ttlSeconds of [0, -1, 1.5, maxTtlSeconds + 1, Number.NaN]) {
      await expect(issue({ ttlSeconds })).rejects.toThrow(UsageError);
    }
    const claims = await verify(await issue({ ttlSeconds: maxTtlSeconds }));
    expect(claims.exp - claims.iat).toBe(maxTtlSeconds);
    // Skew is at most 5 s, in both directions.
    expect(await refusalOf(verify(await forge({ iat: now() - 100, exp: now() - 2 })))).toBe('accepted');
    expect(await refusalOf(verify(await forge({ iat: now() + 3, exp: now() + 60 })))).toBe('accepted');
  });

  it('never hold more than the roles of the user imply', async () => {
    const plain: User = { ...owner, roles: ['user'] };
    await expect(issue({ user: plain, scopes: ['admin'] })).rejects.toThrow(ForbiddenError);
    await expect(issue({ user: plain, scopes: ['user', 'tools:write'] })).rejects.toThrow(/tools:write/);
    await expect(issue({ user: { ...owner, status: 'suspended' } })).rejects.toThrow(ForbiddenError);
    await expect(issue({ scopes: ['with space'] })).rejects.toThrow(UsageError);
    expect((await verify(await issue({ user: plain, scopes: ['mcp'] }))).scopes).toEqual(['mcp']);
    expect((await verify(await issue({ scopes: [] }))).scopes).toEqual([]);
  });

  it('delegated: the same session and scopes, 60 s at most, never longer than the token they come from', async () => {
    const { issuer } = test.identity;
    const claims = await verify(await issue({ scopes: ['user'] }));
    const own = `${externalUrl}/api/v1`;
    const delegated = await verify((await issuer.delegate(claims, own)).token, own);
    expect(delegated).toMatchObject({ sub: claims.sub, sid: claims.sid, scopes: ['user'], client: claims.client });
    expect(delegated.exp - delegated.iat).toBe(60);
    expect(delegated.jti).not.toBe(claims.jti);
    expect(() => issuer.delegate(claims, own, 61)).toThrow(UsageError);
    const short = await verify(await issue({ ttlSeconds: 20 }));
    expect((await verify((await issuer.delegate(short, own)).token, own)).exp).toBe(short.exp);
  });

  it('auth 22: a copy of the database lets nobody in', async () => {
    const token = await issue({ sessionId: randomUUID() as SessionId });
    const tables = await test.owner.query<{ name: string }>(
      "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    );
    const dump: string[] = [];
    for (const { name } of tables) {
      for (const row of await test.owner.query<object>(`SELECT * FROM ${name}`)) dump.push(...leaves(row));
    }
    const { jwk } = await ownKey();
    expect(dump.length).toBeGreaterThan(10);
    expect(dump.some((value) => value.includes(token) || value.includes(jwk.d ?? 'missing'))).toBe(false);
    for (const value of dump) expect(await refusalOf(verify(value))).not.toBe('accepted');
  });

  it('a cache hit is quick: 20 µs and less', async () => {
    const token = await issue();
    await verify(token);
    const rounds = 20_000;
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 5; run += 1) {
      const startedAt = performance.now();
      for (let at = 0; at < rounds; at += 1) await verify(token);
      best = Math.min(best, ((performance.now() - startedAt) * 1000) / rounds);
    }
    expect(best).toBeLessThan(20);
  });
});

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signed without a library, which would refuse to. */
async function handMade(header: object): Promise<string> {
  const { kid, jwk } = await ownKey();
  const body = `${encode({ alg: 'ES256', typ: 'at+jwt', kid, ...header })}.${encode(goodClaims())}`;
  const key = (await importJWK(jwk, 'ES256')) as CryptoKey;
  const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, Buffer.from(body));
  return `${body}.${Buffer.from(signature).toString('base64url')}`;
}

function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || value instanceof Date) return [];
  return Object.values(value).flatMap(leaves);
}
