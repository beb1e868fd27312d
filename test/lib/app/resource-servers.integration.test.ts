import { hash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DatabaseEntitlements } from '../../../src/lib/app/access/entitlements.ts';
import { ForeignSubjects } from '../../../src/lib/app/access/foreign-subjects.ts';
import { mcpAudience } from '../../../src/lib/app/identity.ts';
import { resourceServers } from '../../../src/lib/app/resources.ts';
import { authenticate, type FoundToken, revokeToken, TokenVerifier } from '../../../src/lib/domain/auth/index.ts';
import type { User } from '../../../src/lib/domain/users/index.ts';
import { createGuardedFetch } from '../../../src/lib/infra/http/guarded-fetch.ts';
import type { SessionId } from '../../../src/lib/shared/ids.ts';
import {
  externalUrl,
  maxTtlSeconds,
  openTestIdentity,
  refusalOf,
  type TestIdentity,
  until,
} from '../../helpers/identity.ts';
import { serverConfig } from '../../helpers/server-config.ts';

const issuerServer = createServer();
let test: TestIdentity;
let owner: User;
let verifier: TokenVerifier;
let stranger: { readonly url: string; readonly key: Awaited<ReturnType<typeof pair>> };
const personal = new Map<string, FoundToken>();
let lookups = 0;
let keysRead = 0;
const at = (name: string) => mcpAudience(externalUrl, name);

async function pair() {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  return { privateKey, jwk, jkt: await calculateJwkThumbprint(jwk) };
}

beforeAll(async () => {
  const key = await pair();
  issuerServer.on('request', (request, response) => {
    keysRead += 1;
    const found = request.url === '/keys' ? { keys: [{ ...key.jwk, kid: 'k1', alg: 'ES256' }] } : undefined;
    response.writeHead(found === undefined ? 404 : 200).end(JSON.stringify(found ?? {}));
  });
  await new Promise<void>((done) => issuerServer.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(issuerServer.address() as AddressInfo).port}`;
  stranger = { url, key };
  const trusted = {
    issuer: 'https://ci.example',
    jwksUri: `${url}/keys`,
    privateNetwork: true,
    algorithms: ['ES256'],
    serviceAccount: 'ci',
    subjectClaim: 'sub',
    claims: new Map([['repository', ['acme/shop']]]),
    scopes: ['service', 'builds:write'],
  };
  const servers = [
    serverConfig({ name: 'alpha', oauth: { required: true, scopes: ['user'], ownKey: true, tokenTtlSeconds: 600 } }),
    serverConfig({ name: 'beta', oauth: { required: true, scopes: ['user'], ownKey: true } }),
    serverConfig({ name: 'plain' }),
    serverConfig({ name: 'bound', oauth: { required: true, scopes: ['user'], requireDpop: true } }),
    serverConfig({
      name: 'ci',
      oauth: {
        required: true,
        scopes: ['service'],
        issuers: [trusted, { ...trusted, issuer: 'https://inside.example', privateNetwork: false }],
      },
    }),
  ];
  test = await openTestIdentity(externalUrl, servers);
  owner = await test.identity.users.ensureOwner();
  const resources = resourceServers(servers, { externalUrl, maxTtlSeconds });
  const entitlements = new DatabaseEntitlements(test.database);
  verifier = await TokenVerifier.open({
    database: test.database,
    keys: test.identity.keys,
    issuer: externalUrl,
    maxTtlSeconds,
    addresses: [externalUrl],
    policies: resources,
    foreign: new ForeignSubjects({ database: test.database, entitlements, resources, fetch: createGuardedFetch() }),
    personal: {
      find: async (digest) => {
        lookups += 1;
        return personal.get(Buffer.from(digest).toString('hex'));
      },
    },
  });
  await test.owner.query(
    "INSERT INTO users (name, display_name, roles, kind) VALUES ('ci', 'CI', '{service}', 'service')",
  );
});
afterAll(async () => {
  await verifier?.close();
  await test?.close();
  issuerServer.close();
});

async function issue(server: string, ttlSeconds = 600): Promise<string> {
  const session = await test.identity.sessions.begin({ userId: owner.id, client: 'test', ttlSeconds });
  const request = {
    user: owner,
    sessionId: session.id,
    audience: at(server),
    scopes: ['user'],
    ttlSeconds,
    client: 'test',
  };
  return (await test.identity.issuer.issue(request)).token;
}

const kidOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid;

/** A token signed with the active key of a resource, as only a thief of it could make one. */
async function forged(resource: string | null, claims: Record<string, unknown>): Promise<string> {
  const [row] = await test.owner.query<{ kid: string; private_jwe: string }>(
    "SELECT kid, private_jwe FROM signing_keys WHERE status = 'active' AND resource IS NOT DISTINCT FROM $1",
    [resource],
  );
  if (row === undefined) throw new Error('There is no such key');
  const jwk = JSON.parse(new TextDecoder().decode(await test.secrets.open(row.private_jwe))) as JWK;
  const now = Math.floor(Date.now() / 1000);
  const own = {
    iss: externalUrl,
    sub: owner.id,
    sid: randomUUID(),
    jti: randomUUID(),
    client_id: 'test',
    name: 'owner',
  };
  return new SignJWT({ ...own, scope: 'user', iat: now, exp: now + 300, access_version: 1, ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: row.kid })
    .sign(await importJWK(jwk, 'ES256'));
}

describe('a server with a key of its own', () => {
  it('auth 12: signs with it, and takes what no other key signed', async () => {
    const [alpha, beta, plain] = [await issue('alpha'), await issue('beta'), await issue('plain')];
    expect(new Set([alpha, beta, plain].map(kidOf)).size).toBe(3);
    expect(await refusalOf(verifier.verify(alpha, at('alpha')))).toBe('accepted');
    expect(await refusalOf(verifier.verify(plain, at('plain')))).toBe('accepted');
    expect(await refusalOf(verifier.verify(alpha, at('beta')))).toBe('audience');
    for (const [resource, audience] of [
      [null, at('alpha')],
      [at('beta'), at('alpha')],
      [at('alpha'), at('plain')],
    ] as const) {
      expect(await refusalOf(verifier.verify(await forged(resource, { aud: audience }), audience))).toBe('other_key');
    }
    expect(await refusalOf(verifier.verify(await forged(at('alpha'), { aud: at('alpha') }), at('alpha')))).toBe(
      'accepted',
    );
  });

  it('auth 16: has no token that lives longer than it says', async () => {
    await expect(issue('alpha', 601)).rejects.toThrow(/1 to 600 seconds/);
    const now = Math.floor(Date.now() / 1000);
    const long = await forged(at('alpha'), { aud: at('alpha'), iat: now, exp: now + 601 });
    expect(await refusalOf(verifier.verify(long, at('alpha')))).toBe('lifetime');
  });

  it('auth 24: is rotated with live traffic at all servers and no failed verification, and revoked without touching another', async () => {
    const other = await test.openAnother();
    const held = { alpha: await issue('alpha'), beta: await issue('beta'), plain: await issue('plain') };
    let running = true;
    let verified = 0;
    const kids = new Set<string>();
    const traffic = ['alpha', 'beta', 'plain'].map(async (server) => {
      while (running) {
        const token = await issue(server);
        if (server === 'alpha') kids.add(kidOf(token));
        for (const one of [verifier, other.identity.verifier]) await one.verify(token, at(server));
        verified += 1;
      }
    });
    try {
      for (let turn = 0; turn < 5; turn += 1) {
        await other.identity.keys.rotate({ resource: at('alpha') });
        const before = verified;
        await until('traffic went on', () => verified > before + 20);
      }
    } finally {
      running = false;
      await Promise.all(traffic);
    }
    expect(kids.size).toBeGreaterThanOrEqual(5);
    for (const [server, token] of Object.entries(held)) await verifier.verify(token, at(server));
    const change = await other.identity.keys.rotate({ resource: at('alpha'), revoke: true, actorId: owner.id });
    expect(change.revoked).toContain(kidOf(held.alpha));
    await until(
      'alpha refuses',
      async () => (await refusalOf(verifier.verify(held.alpha, at('alpha')))) === 'unknown_key',
    );
    for (const server of ['beta', 'plain'] as const) await verifier.verify(held[server], at(server));
    await until(
      'it signs anew',
      async () => (await refusalOf(verifier.verify(await issue('alpha'), at('alpha')))) === 'accepted',
    );
    const events = await test.owner.query<{ type: string; resource: string; actor_id: string }>(
      "SELECT type, resource, actor_id FROM identity_events WHERE type LIKE 'key_%' ORDER BY id DESC LIMIT 2",
    );
    expect(events[0]).toEqual({ type: 'key_revoked', resource: at('alpha'), actor_id: owner.id });
    expect(events[1]).toMatchObject({ type: 'key_rotated', resource: at('alpha') });
    await other.close();
  });
});

describe('auth 16: what was taken back', () => {
  it('a single token is refused everywhere, its session goes on', async () => {
    const [one, two] = [await issue('plain'), await issue('plain')];
    const { jti, exp } = await verifier.verify(one, at('plain'));
    await revokeToken(test.database, jti, new Date(exp * 1000));
    await until('it is refused', async () => (await refusalOf(verifier.verify(one, at('plain')))) === 'revoked');
    expect(await refusalOf(verifier.verify(two, at('plain')))).toBe('accepted');
  });

  it('tokens from before something was taken from their user are refused, later ones are good', async () => {
    const before = await issue('plain');
    await verifier.verify(before, at('plain'));
    await test.owner.query('UPDATE users SET access_version = access_version + 1 WHERE id = $1', [owner.id]);
    await until(
      'it is refused',
      async () => (await refusalOf(verifier.verify(before, at('plain')))) === 'access_changed',
    );
    owner = await test.identity.users.get(owner.id);
    expect(await refusalOf(verifier.verify(await issue('plain'), at('plain')))).toBe('accepted');
  });
});

describe('personal access tokens', () => {
  it('open their one resource, are looked up once, and anew after every announcement', async () => {
    const token = `sp_pat_${'a'.repeat(43)}`;
    const session = await test.identity.sessions.begin({ userId: owner.id, client: 'test', ttlSeconds: 600 });
    personal.set(hash('sha256', token), {
      ...{ id: randomUUID(), userId: owner.id, userName: owner.name, sessionId: session.id, audience: at('plain') },
      ...{ scopes: ['user'], accessVersion: owner.accessVersion, createdAt: new Date() },
      expiresAt: new Date(Date.now() + 60_000),
    });
    lookups = 0;
    for (let turn = 0; turn < 3; turn += 1)
      expect(await verifier.verify(token, at('plain'))).toMatchObject({ scopes: ['user'] });
    expect(lookups).toBe(1);
    expect(await refusalOf(verifier.verify(token, at('beta')))).toBe('audience');
    expect(await refusalOf(verifier.verify(token, at('bound')))).toBe('audience');
    expect(await refusalOf(verifier.verify(`sp_pat_${'b'.repeat(43)}`, at('plain')))).toBe('revoked');
    expect(await refusalOf(verifier.verify('sp_pat_short', at('plain')))).toBe('malformed');
    await test.identity.sessions.revoke(session.id);
    await until('it is refused', async () => (await refusalOf(verifier.verify(token, at('plain')))) === 'revoked');
  });
});

describe('tokens of another issuer', () => {
  const say = async (claims: Record<string, unknown> = {}, key = stranger.key.privateKey, typ?: string) => {
    const now = Math.floor(Date.now() / 1000);
    const all = {
      iss: 'https://ci.example',
      aud: at('ci'),
      sub: 'job 7',
      iat: now,
      exp: now + 300,
      repository: 'acme/shop',
    };
    return new SignJWT({ ...all, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1', ...(typ && { typ }) })
      .sign(key);
  };

  it('stand for the service account, with what both sides allow; the keys are read once', async () => {
    const claims = await verifier.verify(await say(), at('ci'));
    expect(claims).toMatchObject({ name: 'ci', aud: at('ci'), iss: 'https://ci.example', scopes: ['service'] });
    const before = keysRead;
    for (let turn = 0; turn < 5; turn += 1) await verifier.verify(await say(), at('ci'));
    expect(keysRead).toBe(before);
  });

  it('auth 16: end with their sign-in, that it was shown again opens no other; a later one does', async () => {
    const token = await say();
    const claims = await verifier.verify(token, at('ci'));
    await test.identity.sessions.revoke(claims.sid as SessionId);
    await until('it is refused', async () => (await refusalOf(verifier.verify(token, at('ci')))) === 'revoked');
    const [row] = await test.database.query<{ live: number }>(
      "SELECT count(*)::int AS live FROM user_sessions WHERE client LIKE 'issuer:%' AND revoked_at IS NULL",
    );
    expect(row?.live).toBe(0);
    expect(await refusalOf(verifier.verify(token, at('ci')))).toBe('revoked');
    const again = await say({ iat: Math.floor(Date.now() / 1000) + 2 });
    await until(
      'a new one is begun',
      async () => (await verifier.verify(again, at('ci')).catch(() => undefined))?.sid !== claims.sid,
    );
  });

  it('auth 13: are refused at every other server, and when anything about them is wrong', async () => {
    expect(await refusalOf(verifier.verify(await say(), at('plain')))).toBe('unknown_key');
    expect(await refusalOf(verifier.verify(await say({ aud: at('plain') }), at('ci')))).toBe('audience');
    expect(await refusalOf(verifier.verify(await say({ aud: [at('ci'), at('plain')] }), at('ci')))).toBe('audience');
    expect(await refusalOf(verifier.verify(await say({ repository: 'acme/other' }), at('ci')))).toBe('issuer');
    expect(await refusalOf(verifier.verify(await say({ exp: 1000 }), at('ci')))).toBe('expired');
    const logout = await say({}, stranger.key.privateKey, 'logout+jwt');
    expect(await refusalOf(verifier.verify(logout, at('ci')))).toBe('type');
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
    expect(await refusalOf(verifier.verify(await say({ events }), at('ci')))).toBe('type');
    expect(await refusalOf(verifier.verify(await say({ cnf: { 'x5t#S256': 'x' } }), at('ci')))).toBe('malformed');
    expect(await refusalOf(verifier.verify(await say({}, (await pair()).privateKey), at('ci')))).toBe('signature');
    expect(await refusalOf(verifier.verify(await say({ iss: externalUrl }), at('ci')))).toBe('unknown_key');
  });

  it('auth 28: keys at an address that is not public are not read, unless that is allowed: nobody is let in', async () => {
    const before = keysRead;
    await expect(verifier.verify(await say({ iss: 'https://inside.example' }), at('ci'))).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
    });
    expect(keysRead).toBe(before);
  });
});

describe('auth 23: proofs of possession', () => {
  let key: Awaited<ReturnType<typeof pair>>;
  let token: string;
  const path = '/api/v1/mcp/bound/mcp';

  beforeAll(async () => {
    key = await pair();
    token = await forged(null, { aud: at('bound'), cnf: { jkt: key.jkt }, access_version: owner.accessVersion });
  });

  async function proof(claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}, signer = key) {
    const ath = hash('sha256', token, 'base64url');
    const all = { jti: randomUUID(), htm: 'POST', htu: at('bound'), iat: Math.floor(Date.now() / 1000), ath };
    return new SignJWT({ ...all, ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: signer.jwk, ...header })
      .sign(signer.privateKey);
  }
  const call = (headers: string[], by = verifier) =>
    refusalOf(authenticate(by, { rawHeaders: headers, method: 'POST', url: path }, at('bound')));
  const shown = (value: string, by = verifier) => call(['Authorization', `DPoP ${token}`, 'DPoP', value], by);

  it('a bound token is good with a fresh proof, once in all processes', async () => {
    const other = await test.openAnother();
    const value = await proof();
    expect(await shown(value)).toBe('accepted');
    expect(await shown(value)).toBe('replayed');
    expect(await shown(value, other.identity.verifier)).toBe('replayed');
    const raced = await proof({ htu: `${at('bound')}?x=1#y` });
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, n) => shown(raced, n % 2 ? verifier : other.identity.verifier)),
    );
    expect(all.filter((one) => one === 'accepted')).toHaveLength(1);
    await other.close();
  });

  it('is refused without one, as a bearer token, and with a proof of anything else', async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await call(['Authorization', `Bearer ${token}`])).toBe('bound');
    expect(await call(['Authorization', `DPoP ${token}`])).toBe('proof');
    expect(await call(['Authorization', `DPoP ${token}`, 'DPoP', await proof(), 'DPoP', await proof()])).toBe('proof');
    for (const value of [
      'rubbish',
      await proof({ htm: 'GET' }),
      await proof({ htu: at('plain') }),
      await proof({ htu: 'https://evil.example/api/v1/mcp/bound/mcp' }),
      await proof({ ath: hash('sha256', 'another', 'base64url') }),
      await proof({ ath: undefined }),
      await proof({ jti: undefined }),
      await proof({ iat: now - 61 }),
      await proof({ iat: now + 30 }),
      await proof({}, { typ: 'JWT' }),
      await proof({}, { jwk: undefined }),
      await proof({}, { jwk: await exportJWK(key.privateKey) }),
      await proof({}, {}, await pair()),
    ]) {
      expect(await shown(value)).toBe('proof');
    }
    expect(await shown(await proof())).toBe('accepted');
  });

  it('an unbound token is refused where bound ones are asked for, and by the scheme DPoP', async () => {
    const bearer = await issue('bound');
    expect(await refusalOf(verifier.verify(bearer, at('bound')))).toBe('unbound');
    const plain = await issue('plain');
    const request = {
      rawHeaders: ['Authorization', `DPoP ${plain}`, 'DPoP', await proof()],
      method: 'POST',
      url: path,
    };
    expect(await refusalOf(authenticate(verifier, request, at('plain')))).toBe('unbound');
  });
});
