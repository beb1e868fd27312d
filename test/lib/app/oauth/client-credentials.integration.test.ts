import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { refusalOf, until } from '../../../helpers/identity.ts';
import {
  audienceOf,
  basic,
  type MachineProvider,
  openMachineProvider,
  resourceServer,
} from '../../../helpers/machine-provider.ts';

let rig: MachineProvider;
const credentials = { grant_type: 'client_credentials' };

beforeAll(async () => {
  rig = await openMachineProvider();
});
afterAll(() => rig?.close());

async function tokenFor(client: { id: string; secret: string }, server: string, more: object = {}): Promise<string> {
  const { status, body } = await rig.token({ ...credentials, resource: audienceOf(server), ...more }, client);
  expect(body).toMatchObject({ token_type: 'Bearer' });
  expect(status).toBe(200);
  return String(body.access_token);
}

const verify = (token: string, server: string) => rig.test.identity.verifier.verify(token, audienceOf(server));

describe('a program that signs in as itself', () => {
  it('gets a token of its service account, for one resource, with what its roles allow', async () => {
    const robot = await rig.service('robot');
    const { status, body, headers } = await rig.token({ ...credentials, resource: audienceOf('alpha') }, robot);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toContain('no-store');
    // `user` is among the defaults, and is not what a service may be.
    expect(body).toMatchObject({ expires_in: 600, scope: 'service tools:read' });
    const claims = await verify(String(body.access_token), 'alpha');
    expect(claims).toMatchObject({
      sub: robot.userId,
      client: 'robot',
      name: 'robot',
      scopes: ['service', 'tools:read'],
    });
    expect(decodeJwt(String(body.access_token))).toMatchObject({ access_version: 1, iss: rig.issuer });
    expect(await refusalOf(verify(String(body.access_token), 'beta'))).toBe('audience');
  });

  it('auth 40: must name the resource, unless there is only one; scopes come from policy alone', async () => {
    const wide = await rig.service('wide');
    const one = await rig.service('one', { targets: ['beta'] });
    const error = async (form: object, client: { id: string; secret: string } = wide) =>
      (await rig.token({ ...credentials, ...form }, client)).body.error;
    expect(await error({})).toBe('invalid_target');
    expect(await error({ resource: `${audienceOf('alpha')}/` })).toBe('invalid_target');
    expect(await error({ resource: 'https://elsewhere.example/mcp' })).toBe('invalid_target');
    expect(await error({ resource: [audienceOf('alpha'), audienceOf('beta')] })).toBe('invalid_target');
    expect(await error({ resource: audienceOf('alpha') }, one)).toBe('invalid_target');
    expect((await rig.token(credentials, one)).body.scope).toBe('service tools:read');
    expect(await error({ resource: audienceOf('alpha'), scope: 'admin' })).toBe('invalid_scope');
    expect(await error({ resource: audienceOf('alpha'), scope: 'tools:write' })).toBe('invalid_scope');
    expect(await error({ resource: audienceOf('alpha'), scope: 'openid offline_access' })).toBe('invalid_scope');
    const some = await rig.token(
      { ...credentials, resource: audienceOf('alpha'), scope: 'tools:read tools:write' },
      wide,
    );
    expect(some.body.scope).toBe('tools:read');
    rig.resources.set('closed', resourceServer('closed', { clients: ['somebody-else'] }));
    expect(await error({ resource: audienceOf('closed') })).toBe('invalid_target');
    const plain = await rig.client({ id: 'plain' });
    expect(await error({ resource: audienceOf('alpha') }, plain)).toBe('unauthorized_client');
  });

  it('auth 54: is told the same of a wrong secret as of a client that there is not', async () => {
    const known = await rig.service('known');
    const form = { ...credentials, resource: audienceOf('alpha') };
    const answers = await Promise.all([
      rig.token(form, { id: 'known', secret: `${known.secret.slice(0, -1)}_` }),
      rig.token(form, { id: 'unknown', secret: known.secret }),
      rig.token({ ...form, client_id: 'known' }),
    ]);
    for (const { status, body } of answers) {
      expect(status).toBe(401);
      expect(body).toEqual({ error: 'invalid_client', error_description: 'client authentication failed' });
    }
  });

  it('loses what it has when its account is suspended or its role is taken; goes on with what is left', async () => {
    const clerk = await rig.service('clerk', { roles: ['user', 'service'] });
    const before = await tokenFor(clerk, 'alpha', { scope: 'user' });
    expect((await verify(before, 'alpha')).scopes).toEqual(['user']);
    await rig.test.owner.query(`UPDATE users SET roles = '{service}' WHERE id = $1`, [clerk.userId]);
    await until('the token is refused', async () => (await refusalOf(verify(before, 'alpha'))) !== 'accepted');
    await until('the role is gone', async () => {
      const { body } = await rig.token({ ...credentials, resource: audienceOf('alpha'), scope: 'user' }, clerk);
      return body.error === 'invalid_scope';
    });
    expect((await verify(await tokenFor(clerk, 'alpha'), 'alpha')).scopes).toEqual(['service', 'tools:read']);
    await rig.test.owner.query(`UPDATE users SET status = 'suspended' WHERE id = $1`, [clerk.userId]);
    await until('it gets nothing', async () => {
      const { body } = await rig.token({ ...credentials, resource: audienceOf('alpha') }, clerk);
      return body.error === 'unauthorized_client';
    });
  });

  it('auth 40: may sign an assertion in place of a secret, each once', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwks = { keys: [await exportJWK(publicKey)] };
    await rig.service('signing', { metadata: { token_endpoint_auth_method: 'private_key_jwt', jwks } });
    const assertion = (claims: object = {}, seconds = 60) =>
      new SignJWT({ jti: crypto.randomUUID(), ...claims })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer('signing')
        .setSubject('signing')
        .setAudience(rig.issuer)
        .setIssuedAt()
        .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
        .sign(privateKey);
    const ask = (client_assertion: string) =>
      rig.token({
        ...credentials,
        resource: audienceOf('alpha'),
        client_assertion,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      });
    const once = await assertion();
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(once)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401, 401, 401, 401, 401]);
    expect((await ask(await assertion())).status).toBe(200);
    expect((await ask(await assertion({}, 3600))).status).toBe(401);
    expect((await ask(await assertion({ jti: undefined }))).status).toBe(401);
  });

  it('is on record, each token, without a row for each', async () => {
    const busy = await rig.service('busy');
    const tokens = await Promise.all(Array.from({ length: 5 }, () => tokenFor(busy, 'alpha')));
    await rig.grants.log.flush();
    const rows = await rig.test.database.query<{
      type: string;
      resource: string;
      user_id: UserId;
      data: { tokens: string[] };
    }>("SELECT type, resource, user_id, data FROM identity_events WHERE client_id = 'busy'");
    expect(rows.length).toBeLessThan(5);
    expect(rows[0]).toMatchObject({ type: 'token_issued', resource: audienceOf('alpha'), user_id: busy.userId });
    const ids = rows.flatMap(({ data }) => data.tokens);
    expect(ids.sort()).toEqual(tokens.map((token) => decodeJwt(token).jti).sort());
    expect(JSON.stringify(rows)).not.toContain(busy.secret);
  });
});

describe('a token of a program', () => {
  it('auth 20: is revoked by its own client alone, whoever asks is told the same', async () => {
    const mine = await rig.service('mine');
    const other = await rig.service('other');
    const [token, kept] = [await tokenFor(mine, 'alpha'), await tokenFor(mine, 'alpha')];
    for (const given of [token, `${token}x`, 'nonsense', 'a.b.c']) {
      expect(await rig.post('/token/revocation', { token: given }, basic(other))).toMatchObject({
        status: 200,
        body: {},
      });
    }
    expect((await verify(token, 'alpha')).client).toBe('mine');
    expect(await rig.post('/token/revocation', { token }, basic(mine))).toMatchObject({ status: 200, body: {} });
    await until('it is refused', async () => (await refusalOf(verify(token, 'alpha'))) === 'revoked');
    expect((await rig.post('/token/introspection', { token }, basic(mine))).body).toEqual({ active: false });
    expect((await verify(kept, 'alpha')).client).toBe('mine');
    expect((await rig.post('/token/revocation', { token }, basic({ id: 'mine', secret: 'wrong' }))).status).toBe(401);
  });

  it('auth 20: that came of a sign-in ends the sign-in with it', async () => {
    const app = await rig.client({ id: 'app' });
    const { identity } = rig.test;
    const ada = await rig.service('ada', { roles: ['user'] });
    const session = await identity.sessions.begin({ userId: ada.userId, client: 'app', ttlSeconds: 600 });
    const mint = async () =>
      (
        await rig.grants.signer.sign({
          userId: ada.userId,
          userName: 'ada',
          sessionId: session.id,
          clientId: 'app',
          resource: resourceServer('alpha'),
          scopes: ['user'],
          ttlSeconds: 60,
          accessVersion: 1,
        })
      ).token;
    const [first, second] = [await mint(), await mint()];
    await rig.post('/token/revocation', { token: first, token_type_hint: 'access_token' }, basic(app));
    await until('both are refused', async () => {
      const reasons = await Promise.all([first, second].map((token) => refusalOf(verify(token, 'alpha'))));
      return reasons.every((reason) => reason === 'revoked');
    });
  });

  it('auth 21: is told about to its own server and its own client; to others it is not active', async () => {
    const owner = await rig.service('asks-itself');
    const alpha = await rig.client({ id: 'alpha-server', server: 'alpha' });
    const beta = await rig.client({ id: 'beta-server', server: 'beta' });
    const stranger = await rig.client({ id: 'stranger' });
    const token = await tokenFor(owner, 'alpha');
    const ask = async (client: { id: string; secret: string }, given = token) =>
      await rig.post('/token/introspection', { token: given }, basic(client));
    for (const client of [owner, alpha]) {
      expect(await ask(client)).toMatchObject({
        status: 200,
        body: {
          active: true,
          client_id: 'asks-itself',
          sub: owner.userId,
          aud: audienceOf('alpha'),
          scope: 'service tools:read',
        },
      });
    }
    for (const client of [beta, stranger])
      expect(await ask(client)).toMatchObject({ status: 200, body: { active: false } });
    for (const given of [`${token}x`, 'opaque', 'a.b.c', token.replace(/\.[^.]*$/, '.')]) {
      expect((await ask(alpha, given)).body).toEqual({ active: false });
    }
    await rig.client({ id: 'public', server: 'alpha', metadata: { token_endpoint_auth_method: 'none' } });
    expect((await rig.post('/token/introspection', { token, client_id: 'public' })).body).toEqual({ active: false });
  });
});

describe('openid-client', () => {
  it('gets tokens by client credentials', async () => {
    const { id, secret } = await rig.service('library');
    const config = await oauth.discovery(new URL(rig.issuer), id, undefined, oauth.ClientSecretBasic(secret), {
      execute: [oauth.allowInsecureRequests],
      algorithm: 'oauth2',
    });
    const answer = await oauth.clientCredentialsGrant(config, { resource: audienceOf('alpha') });
    expect((await verify(answer.access_token, 'alpha')).client).toBe('library');
    expect(await oauth.tokenIntrospection(config, answer.access_token)).toMatchObject({ active: true });
    await oauth.tokenRevocation(config, answer.access_token);
  });

  it('auth 23: binds a token to its key; a proof is good once, for this address and method, and with a fresh nonce', async () => {
    const { id, secret } = await rig.service('bound');
    rig.resources.set('strict', resourceServer('strict', { requireDpop: true }));
    const refused = await rig.token({ ...credentials, resource: audienceOf('strict') }, { id, secret });
    expect(refused.body.error).toBe('invalid_dpop_proof');
    const config = await oauth.discovery(new URL(rig.issuer), id, undefined, oauth.ClientSecretBasic(secret), {
      execute: [oauth.allowInsecureRequests],
      algorithm: 'oauth2',
    });
    const handle = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair());
    const answer = await oauth.clientCredentialsGrant(config, { resource: audienceOf('strict') }, { DPoP: handle });
    expect(answer.token_type).toBe('dpop');
    const thumbprint = await handle.calculateThumbprint();
    expect(decodeJwt(answer.access_token)).toMatchObject({ cnf: { jkt: thumbprint } });

    const pair = await generateKeyPair('ES256', { extractable: true });
    const jwk = await exportJWK(pair.publicKey);
    const proof = (claims: object = {}) =>
      new SignJWT({
        htm: 'POST',
        htu: `${rig.issuer}/token`,
        jti: crypto.randomUUID(),
        iat: Math.floor(Date.now() / 1000),
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
        .sign(pair.privateKey);
    const ask = async (dpop: string) =>
      await rig.token({ ...credentials, resource: audienceOf('strict') }, { id, secret }, { dpop });
    const once = await proof();
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(once)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400, 400]);
    for (const claims of [{ htm: 'GET' }, { htu: 'https://evil.example/token' }, { jti: undefined }]) {
      expect((await ask(await proof(claims))).body.error, JSON.stringify(claims)).toBe('invalid_dpop_proof');
    }
    const stale = await ask(await proof({ iat: Math.floor(Date.now() / 1000) - 3600 }));
    expect(stale.body.error).toBe('use_dpop_nonce');
    const nonce = stale.headers.get('dpop-nonce');
    expect((await ask(await proof({ iat: Math.floor(Date.now() / 1000) - 3600, nonce }))).status).toBe(200);
    expect((await ask(await proof({ nonce: 'mine' }))).body.error).toBe('use_dpop_nonce');
  });
});
