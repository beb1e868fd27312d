import { decodeJwt } from 'jose';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessTokenType, tokenExchangeGrant } from '../../../../src/lib/app/oauth/machines/token-exchange.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';
import { refusalOf, until } from '../../../helpers/identity.ts';
import {
  audienceOf,
  type MachineProvider,
  openMachineProvider,
  resourceServer,
} from '../../../helpers/machine-provider.ts';

let rig: MachineProvider;
let ada: UserId;
let session: SessionId;
interface Secret {
  readonly id: string;
  readonly secret: string;
}
/** The clients that the servers are: alpha may go on to beta and gamma, beta to gamma, each of them to one more. */
let alpha: Secret;
let beta: Secret;

beforeAll(async () => {
  rig = await openMachineProvider();
  const [row] = await rig.test.database.query<{ id: UserId }>(
    "INSERT INTO users (name, display_name, roles) VALUES ('ada', 'Ada', '{user}') RETURNING id",
  );
  if (row === undefined) throw new Error('no user');
  ada = row.id;
  ({ id: session } = await rig.test.identity.sessions.begin({ userId: ada, client: 'app', ttlSeconds: 3600 }));
  alpha = await rig.client({ id: 'alpha-server', server: 'alpha', targets: ['beta', 'gamma'] });
  beta = await rig.client({ id: 'beta-server', server: 'beta', targets: ['alpha', 'gamma'] });
});
afterAll(() => rig?.close());

/** A token that Ada's app has for a server. */
async function given(
  server: string,
  more: { scopes?: string[]; ttlSeconds?: number; key?: string; version?: number } = {},
) {
  const signed = await rig.grants.signer.sign({
    userId: ada,
    userName: 'ada',
    sessionId: session,
    clientId: 'app',
    resource: resourceServer(server),
    scopes: more.scopes ?? ['user', 'tools:read'],
    ttlSeconds: more.ttlSeconds ?? 600,
    accessVersion: more.version ?? 1,
    keyThumbprint: more.key,
  });
  return signed.token;
}

async function exchange(client: Secret, subject: string | undefined, target: string, more: object = {}) {
  const form = {
    grant_type: tokenExchangeGrant,
    subject_token: subject,
    subject_token_type: accessTokenType,
    resource: audienceOf(target),
  };
  return await rig.token({ ...form, ...more }, client);
}

const verify = (token: string, server: string) => rig.test.identity.verifier.verify(token, audienceOf(server));

describe('a server that acts for its caller at another one', () => {
  it('gets a token for the same user and session, short-lived, that names who acts', async () => {
    const { status, body } = await exchange(alpha, await given('alpha'), 'beta');
    expect(status).toBe(200);
    expect(body).toMatchObject({ issued_token_type: accessTokenType, token_type: 'Bearer', expires_in: 300 });
    expect(body).not.toHaveProperty('refresh_token');
    expect(body.scope).toBe('user service tools:read');
    const token = String(body.access_token);
    expect(await verify(token, 'beta')).toMatchObject({ sub: ada, sid: session, client: 'alpha-server', name: 'ada' });
    expect(decodeJwt(token)['act']).toEqual({ sub: 'alpha-server', client_id: 'alpha-server' });
    expect(await refusalOf(verify(token, 'alpha'))).toBe('audience');
  });

  it('auth 41: must be the server that the token is for', async () => {
    const error = async (...args: Parameters<typeof exchange>) => (await exchange(...args)).body.error;
    expect(await error(beta, await given('alpha'), 'gamma')).toBe('invalid_grant');
    const nobody = await rig.client({ id: 'no-server', targets: ['beta'] });
    expect(await error(nobody, await given('alpha'), 'beta')).toBe('unauthorized_client');
    const gone = await rig.client({ id: 'gone-server', server: 'not-configured', targets: ['beta'] });
    expect(await error(gone, await given('alpha'), 'beta')).toBe('unauthorized_client');
    const grant_types = [tokenExchangeGrant];
    const open = { id: 'public', server: 'alpha', targets: ['beta'] };
    await rig.client({ ...open, metadata: { token_endpoint_auth_method: 'none', grant_types } });
    const form = { grant_type: tokenExchangeGrant, client_id: 'public', resource: audienceOf('beta') };
    const asked = await rig.token({
      ...form,
      subject_token: await given('alpha'),
      subject_token_type: accessTokenType,
    });
    expect(asked.body.error).toBe('unauthorized_client');
  });

  it('auth 41: must hand in a good access token, and say that it is one', async () => {
    const good = await given('alpha');
    const error = async (subject: string | undefined, more: object = {}) =>
      (await exchange(alpha, subject, 'beta', more)).body.error;
    expect(await error(undefined)).toBe('invalid_request');
    expect(await error(good, { subject_token_type: undefined })).toBe('invalid_request');
    expect(await error(good, { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' })).toBe(
      'invalid_request',
    );
    expect(await error(good, { subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' })).toBe(
      'unauthorized_client',
    );
    expect(await error(good, { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' })).toBe(
      'invalid_request',
    );
    expect(await error(good, { actor_token: good, actor_token_type: accessTokenType })).toBe('invalid_request');
    for (const bad of [`${good}x`, 'nonsense', 'a.b.c', good.replace(/\.[^.]*$/, '.')]) {
      expect(await error(bad), bad.slice(-10)).toBe('invalid_grant');
    }
  });

  it('auth 41: goes nowhere but where its policy lets it, and not to what is off', async () => {
    const subject = await given('alpha');
    const error = async (target: string, more: object = {}) =>
      (await exchange(alpha, subject, target, more)).body.error;
    rig.resources.set('delta', resourceServer('delta'));
    expect(await error('delta')).toBe('invalid_target');
    expect(await error('alpha')).toBe('invalid_target');
    expect(await error('beta', { resource: undefined })).toBe('invalid_target');
    expect(await error('beta', { resource: [audienceOf('beta'), audienceOf('gamma')] })).toBe('invalid_target');
    expect(await error('beta', { audience: 'beta' })).toBe('invalid_target');
    expect((await exchange(alpha, subject, 'beta', { resource: undefined, audience: 'beta' })).status).toBe(200);
    const kept = rig.resources.get('gamma');
    rig.resources.delete('gamma');
    expect(await error('gamma')).toBe('invalid_target');
    rig.resources.set('gamma', resourceServer('gamma', { clients: ['app'] }));
    expect(await error('gamma')).toBe('invalid_target');
    if (kept) rig.resources.set('gamma', kept);
    expect((await exchange(alpha, subject, 'gamma')).status).toBe(200);
  });

  it('auth 42: gets no scope that its caller did not give, and none that the user may not have there', async () => {
    const scopes = async (held: string[], scope?: string) =>
      (await exchange(alpha, await given('alpha', { scopes: held }), 'beta', scope === undefined ? {} : { scope }))
        .body;
    expect((await scopes(['service'])).scope).toBe('service');
    expect((await scopes(['service'], 'user')).error).toBe('invalid_scope');
    expect((await scopes(['user'], 'tools:read')).error).toBe('invalid_scope');
    expect((await scopes(['user', 'tools:read'], 'user tools:write admin')).scope).toBe('user');
    // The caller gave it for alpha, but Ada has no grant of it at beta; one to the exchanging client is not hers.
    expect((await scopes(['user', 'tools:write'], 'tools:write')).error).toBe('invalid_scope');
    const grant = (type: string, subject: string) =>
      rig.test.database.query(
        `INSERT INTO access_grants (subject_type, subject, server, scope, created_by) VALUES ($1, $2, 'beta', 'tools:write', $3)`,
        [type, subject, ada],
      );
    await grant('client', 'alpha-server');
    expect((await scopes(['user', 'tools:write'], 'tools:write')).error).toBe('invalid_scope');
    await grant('user', ada);
    expect((await scopes(['user', 'tools:write'], 'tools:write')).scope).toBe('tools:write');
    expect((await scopes(['user'], 'tools:write')).error).toBe('invalid_scope');
  });

  it('auth 42: gets no longer life than was left, and none without the session', async () => {
    const short = await exchange(alpha, await given('alpha', { ttlSeconds: 20 }), 'beta');
    expect(short.body.expires_in).toBeLessThanOrEqual(20);
    const own = await rig.test.identity.sessions.begin({ userId: ada, client: 'app', ttlSeconds: 600 });
    const kept = session;
    session = own.id;
    const subject = await given('alpha');
    const made = String((await exchange(alpha, subject, 'beta')).body.access_token);
    session = kept;
    await rig.test.identity.sessions.revoke(own.id);
    await until(
      'what was made of it is refused too',
      async () => (await refusalOf(verify(made, 'beta'))) === 'revoked',
    );
    expect((await exchange(alpha, subject, 'beta')).body.error).toBe('invalid_grant');
  });

  it('auth 42: stands at the end of a chain of at most four, all of them on record', async () => {
    let token = await given('alpha');
    const chain: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const [client, target] = turn % 2 === 0 ? [alpha, 'beta'] : [beta, 'alpha'];
      const { body } = await exchange(client, token, target);
      token = String(body.access_token);
      chain.unshift(client.id);
    }
    const names: unknown[] = [];
    for (let act = decodeJwt(token)['act'] as { client_id: string; act?: never } | undefined; act; act = act.act) {
      names.push(act.client_id);
    }
    expect(names).toEqual(chain);
    expect((await exchange(alpha, token, 'beta')).body.error).toBe('invalid_grant');
    const [event] = await rig.test.database.query<object>(
      `SELECT user_id, session_id, client_id, resource, data FROM identity_events WHERE data->>'token' = $1`,
      [decodeJwt(token).jti],
    );
    expect(event).toMatchObject({
      user_id: ada,
      session_id: session,
      client_id: 'beta-server',
      resource: audienceOf('alpha'),
      data: { grant: 'token_exchange', actors: chain, from: audienceOf('beta') },
    });
  });

  it('auth 20: may give its own token back, which leaves the sign-in of its caller alone', async () => {
    const subject = await given('alpha');
    const made = String((await exchange(alpha, subject, 'beta')).body.access_token);
    const { authorization } = {
      authorization: `Basic ${Buffer.from(`${alpha.id}:${alpha.secret}`).toString('base64')}`,
    };
    expect((await rig.post('/token/revocation', { token: made }, { authorization })).status).toBe(200);
    expect((await verify(subject, 'alpha')).sid).toBe(session);
    const rows = await rig.test.database.query('SELECT FROM revoked_tokens WHERE jti = $1', [decodeJwt(made).jti]);
    expect(rows).toHaveLength(1);
  });

  it('speaks it by openid-client, and binds to a key of its own what was bound to one', async () => {
    const config = await oauth.discovery(
      new URL(rig.issuer),
      alpha.id,
      undefined,
      oauth.ClientSecretBasic(alpha.secret),
      {
        execute: [oauth.allowInsecureRequests],
        algorithm: 'oauth2',
      },
    );
    const ask = (subject_token: string, options?: oauth.DPoPOptions) =>
      oauth.genericGrantRequest(
        config,
        tokenExchangeGrant,
        { subject_token, subject_token_type: accessTokenType, resource: audienceOf('beta') },
        options,
      );
    expect((await ask(await given('alpha'))).scope).toBe('user service tools:read');
    const bound = await given('alpha', { key: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs' });
    await expect(ask(bound)).rejects.toMatchObject({ error: 'invalid_dpop_proof' });
    const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair());
    const answer = await ask(bound, { DPoP });
    expect(decodeJwt(answer.access_token)).toMatchObject({ cnf: { jkt: await DPoP.calculateThumbprint() } });
  });
});
