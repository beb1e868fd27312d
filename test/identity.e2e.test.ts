import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSecretStore } from '../src/lib/infra/config/secrets.ts';
import { freePort } from './helpers/free-port.ts';
import { Person } from './helpers/person.ts';
import { signProxied } from './helpers/proxied.ts';
import { type RunningSystem, startSystem } from './helpers/running-system.ts';
import { until } from './helpers/until.ts';

const extension = join(import.meta.dirname, 'fixtures/extensions/desk.mjs');
const proxyKey = 'k'.repeat(48);
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

const servers = `mcp_servers:
  alpha:
    module: ${extension}
    port: 5881
    description: With a key of its own
    oauth: { scopes: [service], own_key: true }
  beta:
    module: ${extension}
    port: 5882
    description: With the key of the instance
    oauth: { scopes: [service] }
    tools:
      read: { scopes: [{ name: "beta:read", description: Read, open: true }] }
      wipe: { scopes: [{ name: "beta:wipe", description: Delete everything, sensitive: true }] }
  vault:
    module: ${extension}
    port: 5883
    description: For those who prove a key
    oauth: { scopes: [service], dpop: required }
`;

interface Reply {
  readonly status: number;
  readonly challenge: string;
  readonly body: string;
}
interface Row {
  readonly [column: string]: string | number | null;
}
type Tokens = Awaited<ReturnType<typeof oauth.authorizationCodeGrant>>;

let system: RunningSystem;
let owner: Person;
/** The owner's tokens: one server with a key of its own, one without, the instance. */
/** The client that the server alpha is. */
let alphaServer: oauth.Configuration;
/** A service account. */
let nightly: oauth.Configuration;
let tokens: { readonly alpha: string; readonly beta: string; readonly instance: string };

/** One request on a connection of its own: which of the API processes answers is the kernel's choice. */
async function send(path: string, headers: Record<string, string> | string[], body?: Buffer): Promise<Reply> {
  const sent = request(`${system.url}${path}`, { method: body ? 'POST' : 'GET', headers, agent: false });
  sent.end(body);
  const [response] = await once(sent, 'response');
  const challenge = response.headers['www-authenticate'] ?? '';
  return { status: response.statusCode, challenge, body: await text(response) };
}

const path = (server: string) => `/api/v1/mcp/${server}/mcp`;
const audience = (server: string) => `${system.url}${path(server)}`;
const bodyFor = (tool: string) =>
  Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: {} } }));
const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const call = (server: string, token: string, tool = 'whoami', more: Record<string, string> = {}) =>
  send(path(server), { authorization: `Bearer ${token}`, ...json, ...more }, bodyFor(tool));
const ask = (token: string) => send('/api/v1/mcp/registry', { authorization: `Bearer ${token}` });

/** On many connections at once, so that both API processes are asked. */
const everywhere = async (work: () => Promise<Reply>) =>
  [...new Set((await Promise.all(Array.from({ length: 10 }, work))).map(({ status }) => status))].sort();

/** Until every process refuses it. What was taken away counts no longer within a second. */
async function refused(what: string, work: () => Promise<Reply>): Promise<void> {
  await until(`${what} is refused everywhere`, async () => String(await everywhere(work)) === '401', 1_000);
}

/** Calls one after the other until it is stopped. */
function caller(work: () => Promise<Reply>): { stop(): Promise<{ calls: number; failed: Reply[] }> } {
  let going = true;
  const failed: Reply[] = [];
  const done = (async () => {
    let calls = 0;
    for (; going || calls === 0; calls += 1) {
      const reply = await work();
      if (reply.status !== 200) failed.push(reply);
    }
    return { calls, failed };
  })();
  done.catch(() => {}); // whoever stops it is told
  return {
    stop: () => {
      going = false;
      return done;
    },
  };
}

/** A program as openid-client sees it. */
const program = (id: string, secret: string | undefined) =>
  oauth.discovery(new URL(system.url), id, undefined, secret ? oauth.ClientSecretBasic(secret) : oauth.None(), {
    execute: [oauth.allowInsecureRequests],
    algorithm: 'oauth2',
  });

async function client(id: string, ...flags: string[]): Promise<oauth.Configuration> {
  const { data } = await system.artifact<{ data: { secret?: string } }>('admin', 'clients', 'create', id, ...flags);
  return program(id, data.secret);
}

const credentials = async (config: oauth.Configuration, server: string) =>
  (await oauth.clientCredentialsGrant(config, { resource: audience(server) })).access_token;

const identityEvents = async (...flags: string[]) =>
  (await system.artifact<{ items: Row[] }>('admin', 'audit', 'identity', '--limit', '500', ...flags)).items;
const audited = async (...flags: string[]) =>
  (await system.artifact<{ items: Row[] }>('admin', 'audit', 'list', ...flags)).items;

beforeAll(async () => {
  system = await startSystem(async (instance) => {
    const { root, dir } = instance;
    await (await openSecretStore(instance)).set('proxy.edge', proxyKey);
    await mkdir(join(root, 'services/mcp'), { recursive: true });
    await writeFile(join(root, 'services/mcp/servers.yaml'), servers);
    const profile = join(dir, 'profiles/local/profile.yaml');
    const written = await readFile(profile, 'utf8');
    await writeFile(profile, written.replace(/^server:$/m, 'server:\n  workers: 2'));
    await appendFile(profile, `\nsecurity:\n  proxies: [{ id: edge, key: '\${secret:proxy.edge}' }]\n`);
  });
  const [alpha, beta, instance, service, server] = await Promise.all([
    system.token('--server', 'alpha'),
    system.token('--server', 'beta'),
    system.token(),
    client('nightly', '--service', '--server', 'alpha', '--server', 'beta'),
    client('alpha-server', '--for', 'alpha', '--exchange-to', 'beta'),
  ]);
  [nightly, alphaServer] = [service, server];
  tokens = { alpha, beta, instance };
}, 120_000);
afterAll(() => system?.[Symbol.asyncDispose]());

describe('keys', () => {
  const kid = (token: string) => decodeProtectedHeader(token).kid;

  it('are exchanged under load without a refused call; revoking one server’s ends its tokens and no others', async () => {
    const others = [caller(() => call('beta', tokens.beta)), caller(() => ask(tokens.instance))];
    const own = caller(() => call('alpha', tokens.alpha));
    const rotated = await system.run('admin', 'keys', 'rotate', '--server', 'alpha');
    expect(rotated).toMatchObject({ code: 0 });
    const second = await system.token('--server', 'alpha');
    expect(kid(second)).not.toBe(kid(tokens.alpha));
    expect(await everywhere(() => call('alpha', second))).toEqual([200]);
    const { calls, failed } = await own.stop();
    expect({ many: calls > 5, failed }).toEqual({ many: true, failed: [] });

    expect(await system.run('admin', 'keys', 'rotate', '--server', 'alpha', '--revoke')).toMatchObject({ code: 5 });
    expect(await system.run('admin', 'keys', 'rotate', '--server', 'alpha', '--revoke', '--yes')).toMatchObject({
      code: 0,
    });
    await refused('the token before the last', () => call('alpha', tokens.alpha));
    await refused('the last token', () => call('alpha', second));
    const third = await system.token('--server', 'alpha');
    expect(await everywhere(() => call('alpha', third))).toEqual([200]);
    for (const other of others) expect((await other.stop()).failed).toEqual([]);
    tokens = { ...tokens, alpha: third };
  });

  it('of the instance likewise: the server with a key of its own notices nothing, and everybody else signs in again', async () => {
    const own = caller(() => call('alpha', tokens.alpha));
    await system.artifact('admin', 'keys', 'rotate', '--revoke', '--yes');
    await Promise.all([
      refused('the token of a server', () => call('beta', tokens.beta)),
      refused('the token of the instance', () => ask(tokens.instance)),
    ]);
    const [beta, instance] = await Promise.all([system.token('--server', 'beta'), system.token()]);
    expect(await everywhere(() => call('beta', beta))).toEqual([200]);
    expect(await everywhere(() => ask(instance))).toEqual([200]);
    expect((await own.stop()).failed).toEqual([]);
    tokens = { ...tokens, beta, instance };
  });
});

describe('machines', () => {
  it('a service account signs in by its secret and calls; the audit names account and client', async () => {
    const reply = await call('beta', await credentials(nightly, 'beta'));
    expect(reply).toMatchObject({ status: 200, body: expect.stringContaining('nightly') });
    const [row] = await audited('--user', 'nightly');
    expect(row).toMatchObject({
      server: 'beta',
      tool: 'whoami',
      user: 'nightly',
      client: 'nightly',
      status: 'success',
    });
  });

  it('a token that is given back is good nowhere, and the server that it was for is told so', async () => {
    const [first, second] = await Promise.all([credentials(nightly, 'alpha'), credentials(nightly, 'alpha')]);
    expect(await oauth.tokenIntrospection(alphaServer, first)).toMatchObject({ active: true, client_id: 'nightly' });
    await oauth.tokenRevocation(nightly, first);
    await refused('the token that was given back', () => call('alpha', first));
    expect(await oauth.tokenIntrospection(alphaServer, first)).toEqual({ active: false });
    expect(await everywhere(() => call('alpha', second))).toEqual([200]);
  });

  it('a client that is disabled or deleted loses its tokens at once, and no other does', async () => {
    const weekly = await client('weekly', '--service', '--server', 'beta');
    const [first, second] = await Promise.all([credentials(nightly, 'beta'), credentials(weekly, 'beta')]);
    const others = caller(() => call('beta', tokens.beta));
    await system.artifact('admin', 'clients', 'update', 'nightly', '--disable');
    await refused('the token of the disabled client', () => call('beta', first));
    await expect(credentials(nightly, 'beta')).rejects.toMatchObject({ status: 401 });
    expect(await everywhere(() => call('beta', second))).toEqual([200]);
    await system.artifact('admin', 'clients', 'delete', 'weekly', '--yes');
    await refused('the token of the deleted client', () => call('beta', second));
    expect((await others.stop()).failed).toEqual([]);
    await system.artifact('admin', 'clients', 'update', 'nightly', '--enable');
    expect((await call('beta', await credentials(nightly, 'beta'))).status).toBe(200);
    expect((await call('beta', first)).status).toBe(401);
  });

  it('a personal access token opens its server until it is revoked', async () => {
    const made = await system.artifact<{ content: string; data: { id: string } }>(
      ...['admin', 'tokens', 'create', 'script', '--user', 'nightly', '--server', 'beta'],
    );
    expect(await everywhere(() => call('beta', made.content))).toEqual([200]);
    expect((await call('alpha', made.content)).status).toBe(401);
    await system.artifact('admin', 'tokens', 'revoke', made.data.id);
    await refused('the personal access token', () => call('beta', made.content));
  });
});

describe('people', () => {
  let ada: Person;
  let app: oauth.Configuration;
  let redirect: string;

  /** Signs somebody in to the app by our pages. */
  async function signIn(
    person: Person,
    resource: string,
    ticks: string[] = [],
    scope = 'service',
    options: oauth.DPoPOptions = {},
  ): Promise<Tokens> {
    const [verifier, state] = [oauth.randomPKCECodeVerifier(), oauth.randomState()];
    const address = oauth.buildAuthorizationUrl(app, {
      redirect_uri: redirect,
      resource,
      scope: [scope, ...ticks].join(' '),
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
    });
    const back = await person.allow(address, ticks);
    const checks = { pkceCodeVerifier: verifier, expectedState: state };
    return oauth.authorizationCodeGrant(app, back, checks, { resource }, options);
  }
  const scopesOf = (token: string) => String(decodeJwt(token)['scope']).split(' ').sort();

  it('the link that the start printed makes the owner a passkey, and a sign-in with it', async () => {
    const link = /http:\S+\/auth\/owner\S*/.exec(system.started)?.[0] ?? '';
    owner = await Person.setUp(link);
    redirect = `http://127.0.0.1:${await freePort()}/callback`;
    app = await client('app', '--redirect-uri', redirect);
    const { access_token: token } = await signIn(owner, `${system.url}/api/v1`, [], 'user');
    expect(await everywhere(() => ask(token))).toEqual([200]);
    const account = await owner.browser.follow('/auth/account');
    expect(account).toMatchObject({ status: 200, text: expect.stringContaining('app') });
    expect((await Person.setUp(link).catch((error: Error) => error)) instanceof Error).toBe(true);
  });

  it('a token that is bound to a key of the app is renewed for that key alone', async () => {
    const DPoP = oauth.getDPoPHandle(app, await oauth.randomDPoPKeyPair());
    await expect(signIn(owner, audience('vault'))).rejects.toThrow();
    const first = await signIn(owner, audience('vault'), [], 'service', { DPoP });
    const show = (token: string) =>
      oauth.fetchProtectedResource(
        app,
        token,
        new URL(audience('vault')),
        'POST',
        bodyFor('whoami'),
        new Headers(json),
        {
          DPoP,
        },
      );
    expect((await show(first.access_token)).status).toBe(200);
    const renew = (options?: oauth.DPoPOptions) =>
      oauth.refreshTokenGrant(app, first.refresh_token ?? '', { resource: audience('vault') }, options);
    await expect(renew()).rejects.toMatchObject({ status: 400 });
    const other = oauth.getDPoPHandle(app, await oauth.randomDPoPKeyPair());
    await expect(renew({ DPoP: other })).rejects.toMatchObject({ status: 400 });
    expect((await show((await renew({ DPoP })).access_token)).status).toBe(200);
  });

  it('what a user may do is granted, asked about and taken back', async () => {
    await system.artifact('admin', 'users', 'create', 'ada', '--email', 'ada@example.com');
    const { data } = await system.artifact<{ data: { url: string } }>('admin', 'users', 'link', 'ada');
    ada = await Person.setUp(data.url);
    const check = async () =>
      (await system.run('admin', 'access', 'check', '--user', 'ada', '--server', 'beta', '--tool', 'wipe')).stdout;
    const { access_token: before } = await signIn(ada, audience('beta'), [], 'service beta:read');
    const reply = await call('beta', before, 'wipe');
    expect(reply.status).toBe(403);
    // What it holds, and what it needs: clients replace the old by the new.
    const named = /scope="([^"]*)"/.exec(reply.challenge)?.[1]?.split(' ');
    expect(named).toEqual(expect.arrayContaining(['service', 'beta:read', 'beta:wipe']));
    expect(await check()).toContain('ada may not call beta wipe');

    const change = (what: string) =>
      system.artifact('admin', 'access', what, '--user', 'ada', '--server', 'beta', '--scope', 'beta:wipe');
    await change('grant');
    expect(await check()).toContain('ada may call beta wipe');
    expect((await call('beta', before, 'wipe')).status).toBe(403);
    const more = await signIn(ada, audience('beta'), ['beta:wipe'], 'service beta:read');
    expect(await everywhere(() => call('beta', more.access_token, 'wipe'))).toEqual([200]);

    await change('revoke');
    await refused('the token with what was taken', () => call('beta', more.access_token));
    const left = await oauth.refreshTokenGrant(app, more.refresh_token ?? '', { resource: audience('beta') });
    expect(scopesOf(left.access_token)).toEqual(['beta:read', 'service']);
    expect([
      (await call('beta', left.access_token)).status,
      (await call('beta', left.access_token, 'wipe')).status,
    ]).toEqual([200, 403]);
  });

  it('a server acts for its caller at another one, and both audits say who acted', async () => {
    const given = await signIn(ada, audience('alpha'));
    const { access_token: token } = await oauth.genericGrantRequest(alphaServer, tokenExchange, {
      subject_token: given.access_token,
      subject_token_type: accessToken,
      resource: audience('beta'),
    });
    expect(await call('beta', token)).toMatchObject({ status: 200, body: expect.stringContaining('ada') });
    expect((await call('alpha', token)).status).toBe(401);
    expect((await audited('--user', 'ada'))[0]).toMatchObject({ server: 'beta', client: 'alpha-server' });
    const issued = await until('the exchange is on record', async () =>
      (await identityEvents('--type', 'token_issued', '--user', 'ada')).find(({ client }) => client === 'alpha-server'),
    );
    expect(issued).toMatchObject({ resource: audience('beta'), what: expect.stringMatching(/actors: alpha-server/) });
  });

  it('a role that is taken away and a suspension end live tokens', async () => {
    const { access_token: first } = await signIn(ada, audience('beta'));
    await system.artifact('admin', 'users', 'role', 'ada', '--remove', 'user', '--add', 'service');
    await refused('the token from before', () => call('beta', first));
    const { access_token: second } = await signIn(ada, audience('beta'));
    expect(await everywhere(() => call('beta', second))).toEqual([200]);
    await system.artifact('admin', 'users', 'ban', 'ada', '--reason', 'for a test');
    await refused('the token of the suspended user', () => call('beta', second));
    await expect(signIn(ada, audience('beta'))).rejects.toThrow();
    expect((await call('beta', tokens.beta)).status).toBe(200);
  });
});

describe('a server that wants a key proven (DPoP)', () => {
  /** A proof for one request, made by hand so that it can be sent twice. */
  async function proofs(keys: oauth.CryptoKeyPair) {
    const jwk = await exportJWK(keys.publicKey);
    return {
      thumbprint: await calculateJwkThumbprint(jwk),
      proof: async (token: string) => {
        const ath = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(token))).toString('base64url');
        return new SignJWT({ htm: 'POST', htu: audience('vault'), ath, jti: randomUUID() })
          .setIssuedAt()
          .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
          .sign(keys.privateKey);
      },
    };
  }

  it('takes a bound token with a proof, once in all processes together, and as a bearer token never', async () => {
    const config = await client('prover', '--service', '--server', 'vault');
    const keys = (await generateKeyPair('ES256', { extractable: true })) as oauth.CryptoKeyPair;
    const DPoP = oauth.getDPoPHandle(config, keys);
    const params = { resource: audience('vault') };
    await expect(oauth.clientCredentialsGrant(config, params)).rejects.toMatchObject({ error: 'invalid_dpop_proof' });
    const { access_token: token, token_type } = await oauth.clientCredentialsGrant(config, params, { DPoP });
    const { proof, thumbprint } = await proofs(keys);
    expect([token_type, decodeJwt(token)['cnf']]).toEqual(['dpop', { jkt: thumbprint }]);

    const show = (dpop: string) =>
      send(path('vault'), { authorization: `DPoP ${token}`, dpop, ...json }, bodyFor('whoami'));
    expect(await show(await proof(token))).toMatchObject({ status: 200, body: expect.stringContaining('prover') });
    const same = await proof(token);
    const replies = await Promise.all(Array.from({ length: 12 }, () => show(same)));
    expect(replies.filter(({ status }) => status === 200).length).toBe(1);
    const [replayed] = replies.filter(({ status }) => status === 401);
    expect(replayed?.challenge).toMatch(/^DPoP error="invalid_dpop_proof"/);

    const { proof: foreign } = await proofs(
      (await generateKeyPair('ES256', { extractable: true })) as oauth.CryptoKeyPair,
    );
    expect((await show(await foreign(token))).status).toBe(401);
    const bearer = await call('vault', token, 'whoami', { dpop: await proof(token) });
    expect(bearer).toMatchObject({ status: 401, challenge: expect.stringMatching(/^DPoP .*algs="/) });
  });

  it('takes nobody whom a proxy vouches for: nothing binds that caller to a key', async () => {
    const { data } = await system.artifact<{ data: { id: string } }>('admin', 'users', 'show', 'nightly');
    const vouched = (server: string) => {
      const body = bodyFor('whoami');
      const { rawHeaders } = signProxied({
        secret: Buffer.from(proxyKey),
        keyId: 'edge',
        userId: data.id,
        permissions: 'service',
        method: 'POST',
        url: path(server),
        host: new URL(system.url).host,
        body,
      });
      return send(path(server), [...rawHeaders, ...Object.entries(json).flat()], body);
    };
    expect(await vouched('beta')).toMatchObject({ status: 200, body: expect.stringContaining('nightly') });
    expect(await vouched('vault')).toMatchObject({
      status: 401,
      challenge: expect.stringMatching(/^DPoP .*bound to a key/),
    });
  });

  it.each([
    ['admin', 'session', 'login', '--server', 'vault'],
    ['admin', 'tokens', 'create', 'mine', '--server', 'vault'],
    ['plugins', 'mcp', 'tools', 'vault'],
  ])('gives no token that it would not take: %s %s %s', async (...argv) => {
    const { code, stdout, stderr } = await system.run(...argv);
    expect({ code, stdout }).toEqual({ code: 6, stdout: '' });
    expect(stderr).toContain('vault takes only tokens that are bound to a key of the client (DPoP)');
  });
});

describe('the audit of identity', () => {
  it('tells all of it', async () => {
    const types = await until('what is recorded in batches is there', async () => {
      const found = new Set((await identityEvents()).map(({ type }) => type));
      return found.has('token_issued') && found;
    });
    const expected = [
      ...['key_rotated', 'key_revoked', 'client_registered', 'client_changed', 'client_removed', 'token_issued'],
      ...['token_created', 'token_revoked', 'link_used', 'passkey_added', 'sign_in', 'consent_given'],
      ...['user_changed', 'role_changed', 'grant_added', 'grant_revoked'],
    ];
    expect([...types]).toEqual(expect.arrayContaining(expected));
    const revoked = await identityEvents('--type', 'key_revoked');
    expect(revoked.map(({ by, resource }) => [by, resource])).toEqual([
      ['owner', null],
      ['owner', audience('alpha')],
    ]);
  });
});
