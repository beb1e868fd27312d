import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  accessTokenType,
  jwtTokenType,
  tokenExchangeGrant,
} from '../../../../src/lib/app/oauth/machines/token-exchange.ts';
import { jwtBearerGrant } from '../../../../src/lib/app/oauth/machines/workload-grant.ts';
import { matchesPattern } from '../../../../src/lib/app/oauth/machines/workloads.ts';
import { audienceOf, type MachineProvider, openMachineProvider } from '../../../helpers/machine-provider.ts';

/** A CI platform: an issuer with a discovery document and keys. */
let platform: Server;
let platformIssuer: string;
let keys: JWK[] = [];
let asked: string[] = [];
let key: CryptoKey;
let rig: MachineProvider;

beforeAll(async () => {
  platform = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (request.url === '/.well-known/openid-configuration') {
      return response.end(JSON.stringify({ issuer: platformIssuer, jwks_uri: `${platformIssuer}/keys` }));
    }
    if (request.url === '/keys') return response.end(JSON.stringify({ keys }));
    return response.writeHead(404).end();
  });
  await new Promise<void>((done) => platform.listen(0, '127.0.0.1', done));
  platformIssuer = `http://127.0.0.1:${(platform.address() as AddressInfo).port}`;
  const pair = await generateKeyPair('RS256');
  key = pair.privateKey;
  keys = [{ ...(await exportJWK(pair.publicKey)), kid: 'one' }];
  const rule = { issuer: platformIssuer, ttlSeconds: 120, privateNetwork: true, serviceAccount: 'deploy' };
  rig = await openMachineProvider({
    rules: [
      { ...rule, subject: 'repo:acme/app:*', claims: { repository: 'acme/app', ref: 'refs/heads/*' } },
      { ...rule, audience: 'special', claims: { environment: 'production' } },
      { ...rule, issuer: `${platformIssuer}/guarded`, subject: 'x', claims: {}, privateNetwork: false },
    ],
  });
  const metadata = { token_endpoint_auth_method: 'none', grant_types: [jwtBearerGrant, tokenExchangeGrant] };
  await rig.service('deploy', { targets: ['alpha'], metadata });
  await rig.service('other', { targets: ['alpha'], metadata });
});
afterAll(async () => {
  await rig?.close();
  platform.closeAllConnections();
  platform.close();
});

interface Job {
  readonly claims?: object;
  readonly issuer?: string;
  readonly audience?: string;
  readonly subject?: string;
  readonly seconds?: number;
  readonly header?: object;
  readonly signer?: CryptoKey | Uint8Array;
}

function job(options: Job = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000);
  return new SignJWT({ jti: crypto.randomUUID(), repository: 'acme/app', ref: 'refs/heads/main', ...options.claims })
    .setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'JWT', ...options.header })
    .setIssuer(options.issuer ?? platformIssuer)
    .setAudience(options.audience ?? rig.issuer)
    .setSubject(options.subject ?? 'repo:acme/app:ref:refs/heads/main')
    .setIssuedAt(now - Math.max(0, -(options.seconds ?? 0)) * 2)
    .setExpirationTime(now + (options.seconds ?? 300))
    .sign(options.signer ?? key);
}

const signIn = (assertion: string, client_id = 'deploy') =>
  rig.token({ grant_type: jwtBearerGrant, assertion, client_id });

describe('a CI job that keeps no secret', () => {
  it('gets a token of its service account for a token of its platform', async () => {
    const { status, body } = await signIn(await job());
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 120, scope: 'service tools:read' });
    const claims = await rig.test.identity.verifier.verify(String(body.access_token), audienceOf('alpha'));
    expect(claims).toMatchObject({ client: 'deploy', name: 'deploy' });
    const [event] = await rig.test.database.query<object>(
      `SELECT type, data FROM identity_events WHERE client_id = 'deploy' ORDER BY id DESC LIMIT 1`,
    );
    expect(event).toMatchObject({
      type: 'token_issued',
      data: { grant: 'jwt_bearer', issuer: platformIssuer, subject: 'repo:acme/app:ref:refs/heads/main' },
    });
  });

  it('may ask for it by the form of token exchange', async () => {
    const { status, body } = await rig.token({
      grant_type: tokenExchangeGrant,
      client_id: 'deploy',
      subject_token: await job(),
      subject_token_type: jwtTokenType,
    });
    expect(body).toMatchObject({ issued_token_type: accessTokenType });
    expect(status).toBe(200);
  });

  it('uses each token once, however many at the same time', async () => {
    const token = await job();
    const answers = await Promise.all(Array.from({ length: 6 }, () => signIn(token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400, 400]);
    const withoutId = await job({ claims: { jti: undefined } });
    expect([(await signIn(withoutId)).status, (await signIn(withoutId)).status]).toEqual([200, 400]);
    // What was wrong in another way does not use it up.
    const next = await job();
    const wrong = { grant_type: jwtBearerGrant, assertion: next, client_id: 'deploy', scope: 'admin' };
    expect((await rig.token(wrong)).body.error).toBe('invalid_scope');
    expect((await signIn(next)).status).toBe(200);
  });

  it('is who a rule says, by an issuer that it names, for us, and now', async () => {
    const stranger = await generateKeyPair('RS256');
    const shared = new TextEncoder().encode(JSON.stringify(keys[0]));
    const refused: Record<string, Job> = {
      'another repository': { claims: { repository: 'acme/other' } },
      'another branch kind': { claims: { ref: 'refs/tags/v1' } },
      'a claim that is missing': { claims: { ref: undefined } },
      'a claim of another type': { claims: { repository: ['acme/app'] } },
      'another subject': { subject: 'repo:evil/app:ref:refs/heads/main' },
      'another audience': { audience: 'https://elsewhere.example' },
      'another issuer': { issuer: 'https://evil.example' },
      'our own issuer': { issuer: rig.issuer },
      'another key by the same name': { signer: stranger.privateKey },
      'an unknown key': { header: { kid: 'two' } },
      'a shared key': { header: { alg: 'HS256' }, signer: shared },
      'past its time': { seconds: -120 },
      'a life of a month': { seconds: 30 * 86_400 },
      'an access token': { header: { typ: 'at+jwt' } },
    };
    for (const [what, options] of Object.entries(refused)) {
      const { status, body } = await signIn(await job(options));
      expect(status, what).toBe(400);
      expect(body, what).toEqual({ error: 'invalid_grant', error_description: 'grant request is invalid' });
    }
    expect((await signIn(await job(), 'other')).body.error).toBe('invalid_grant');
    for (const nonsense of ['', 'x', 'a.b.c', `${await job()}x`, 'x'.repeat(20_000)]) {
      expect((await signIn(nonsense)).status, nonsense.slice(0, 5)).toBe(400);
    }
    expect((await signIn(await job({ audience: 'special', claims: { environment: 'production' } }))).status).toBe(200);
    expect((await signIn(await job({ audience: 'special', claims: { environment: 'staging' } }))).status).toBe(400);
  });

  it('auth 28: is not believed by keys that would be fetched from within our network', async () => {
    asked = [];
    const issuer = `${platformIssuer}/guarded`;
    expect((await signIn(await job({ issuer, subject: 'x' }))).body.error).toBe('invalid_grant');
    expect(asked).toEqual([]);
  });

  it('does not make us ask its platform for keys at every turn', async () => {
    asked = [];
    await Promise.all(Array.from({ length: 5 }, async () => signIn(await job())));
    await Promise.all(Array.from({ length: 5 }, async () => signIn(await job({ header: { kid: 'unknown' } }))));
    expect(asked.length).toBeLessThanOrEqual(2);
  });

  it('is matched by patterns without surprises', () => {
    const cases: [string, string, boolean][] = [
      ['a', 'a', true],
      ['a', 'ab', false],
      ['a*', 'abc', true],
      ['*c', 'abc', true],
      ['a*c', 'ac', true],
      ['a*a', 'a', false],
      ['a*b*c', 'a-b-b-c', true],
      ['a*b*c', 'acb', false],
      ['a.c', 'abc', false],
      ['repo:acme/app:*', 'repo:acme/app-evil:x', false],
    ];
    for (const [pattern, text, expected] of cases)
      expect(matchesPattern(pattern, text), `${pattern} ${text}`).toBe(expected);
    expect(matchesPattern(`${'*a'.repeat(100)}*b`, 'a'.repeat(50_000))).toBe(false);
  });
});
