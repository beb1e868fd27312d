import { decodeJwt } from 'jose';
import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClientService } from '../../../../src/lib/domain/auth/index.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import type { CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { refusalOf, until } from '../../../helpers/identity.ts';
import { type OAuthRig, oauthBase, openOAuthRig, type Tokens } from '../../../helpers/oauth-rig.ts';

// What the other tests of machines see at a provider alone, here at the API's own door: wired, and with people's sign-ins.

let rig: OAuthRig;
let ada: UserId;
let browser: CookieBrowser;
let robot: string;

beforeAll(async () => {
  rig = await openOAuthRig();
  ada = await rig.user('ada');
  browser = await rig.browser(ada);
  const userId = await rig.user('robot', ['user']);
  await rig.owner.query(`UPDATE users SET kind = 'service' WHERE id = $1`, [userId]);
  const metadata = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
  const service = new ClientService(rig.database);
  robot = await rig.database.transaction(async (tx) => {
    const client = { id: 'robot', kind: 'service', name: 'Robot', userId, metadata } as const;
    return (await service.create(tx, client, true)).secret ?? '';
  });
});
afterAll(() => rig?.close());

const verify = (token: string, server = 'alpha') => rig.identity.verifier.verify(token, rig.audience(server));
const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(`${rig.url}${oauthBase}${path}`, { method: 'POST', body: new URLSearchParams(form), headers });
const asRobot = () => ({ authorization: `Basic ${Buffer.from(`robot:${robot}`).toString('base64')}` });

async function refresh({ refresh_token }: Tokens): Promise<number> {
  return (await rig.token({ grant_type: 'refresh_token', refresh_token })).status;
}

describe('an app that gives back what it has of a sign-in', () => {
  it('auth 20: ends all of it, by its refresh token as by an access token; other apps keep theirs', async () => {
    for (const which of ['refresh_token', 'access_token'] as const) {
      const [mine, kept] = [await rig.tokens(browser), await rig.tokens(browser)];
      for (const client_id of ['cli', 'web']) {
        const answer = await post('/revoke', { client_id, token: mine[which] });
        expect(answer.status).toBe(200);
        if (client_id === 'cli') expect(await refusalOf(verify(mine.access_token))).toBe('accepted');
      }
      await until(`${which} has ended it`, async () => (await refusalOf(verify(mine.access_token))) === 'revoked');
      expect(await refresh(mine)).toBe(400);
      expect(await refusalOf(verify(kept.access_token))).toBe('accepted');
      expect(await refresh(kept)).toBe(200);
    }
    const events = await rig.database.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM identity_events WHERE type = 'session_revoked' AND user_id = $1`,
      [ada],
    );
    expect(events[0]?.n).toBe(2);
  });

  it('auth 21: is the only one, beside the server, that is told about it', async () => {
    const { access_token: token, refresh_token } = await rig.tokens(browser);
    for (const given of [token, refresh_token]) {
      expect(await (await post('/introspect', { token: given }, asRobot())).json()).toEqual({ active: false });
      expect(await (await post('/introspect', { token: given, client_id: 'web' })).json()).toEqual({ active: false });
    }
  });
});

describe('machines at the door', () => {
  it('sign in by client credentials; what they have is good for one server, and can be given back', async () => {
    const config = await oauth.discovery(new URL(rig.url), 'robot', undefined, oauth.ClientSecretBasic(robot), {
      execute: [oauth.allowInsecureRequests],
      algorithm: 'oauth2',
    });
    expect(config.serverMetadata().grant_types_supported).toEqual(
      expect.arrayContaining(['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange']),
    );
    const answer = await oauth.clientCredentialsGrant(config, { resource: rig.audience('alpha') });
    expect(answer.scope).toBe('user alpha:read');
    expect(await verify(answer.access_token)).toMatchObject({ name: 'robot', client: 'robot' });
    expect(await refusalOf(verify(answer.access_token, 'beta'))).toBe('audience');
    expect(await oauth.tokenIntrospection(config, answer.access_token)).toMatchObject({ active: true });
    await oauth.tokenRevocation(config, answer.access_token);
    await until('it is refused', async () => (await refusalOf(verify(answer.access_token))) === 'revoked');
    const bound = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair());
    const proven = await oauth.clientCredentialsGrant(config, { resource: rig.audience('alpha') }, { DPoP: bound });
    expect(decodeJwt(proven.access_token)).toMatchObject({ cnf: { jkt: await bound.calculateThumbprint() } });
  });

  it('register, and ask people for a sign-in', async () => {
    const metadata = {
      client_name: 'Inspector',
      redirect_uris: ['http://localhost:6274/oauth/callback'],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      scope: 'alpha:read',
    };
    const answer = await fetch(`${rig.url}${oauthBase}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(metadata),
    });
    expect(answer.status).toBe(201);
    const { client_id } = (await answer.json()) as { client_id: string };
    const redirect_uri = 'http://localhost:6274/oauth/callback';
    const tokens = await rig.tokens(browser, { client_id, redirect_uri });
    expect(await verify(tokens.access_token)).toMatchObject({ sub: ada, client: client_id });
    expect((await rig.authorization.clients.client(client_id))?.registeredFrom).toMatch(
      /^(127\.0\.0\.1|0:0:0:0::\/64)$/,
    );
  });

  it('are refused by an RFC error, whatever they send', async () => {
    const long = 'x'.repeat(20_000);
    const forms: Record<string, string>[] = [
      { grant_type: 'client_credentials' },
      { grant_type: 'client_credentials', resource: 'not a uri' },
      { grant_type: 'client_credentials', resource: `${rig.audience('alpha')}#x` },
      { grant_type: 'client_credentials', resource: rig.audience('alpha'), scope: '"\\' },
      { grant_type: 'client_credentials', resource: rig.audience('alpha'), scope: '\u0000' },
      { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: long },
      { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: long },
      { grant_type: 'nonsense' },
      {},
    ];
    for (const form of forms) {
      const answer = await post('/token', form, asRobot());
      expect([400, 401], JSON.stringify(form).slice(0, 120)).toContain(answer.status);
      expect(await answer.json()).toHaveProperty('error');
    }
    const twice = 'grant_type=client_credentials&grant_type=client_credentials';
    for (const [path, body] of [
      ['/token', twice],
      ['/revoke', 'token=a&token=b'],
      ['/introspect', ''],
      ['/revoke', ''],
    ] as const) {
      const headers = { ...asRobot(), 'content-type': 'application/x-www-form-urlencoded' };
      const answer = await fetch(`${rig.url}${oauthBase}${path}`, { method: 'POST', body, headers });
      expect(answer.status, path).toBe(400);
    }
    for (const authorization of ['Basic', 'Basic !', 'Basic Og==', 'Bearer x', 'Basic eA==']) {
      const answer = await post('/token', { grant_type: 'client_credentials' }, { authorization });
      expect([400, 401], authorization).toContain(answer.status);
    }
  });
});
