import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import type { Answer, CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { refusalOf, until } from '../../../helpers/identity.ts';
import { type Authorized, type OAuthRig, oauthBase, openOAuthRig, webRedirect } from '../../../helpers/oauth-rig.ts';

let rig: OAuthRig;
let ada: UserId;
let browser: CookieBrowser;

beforeAll(async () => {
  rig = await openOAuthRig();
  ada = await rig.user('ada');
  browser = await rig.browser(ada);
});
afterAll(() => rig?.close());

const redeem = ({ code, verifier }: Authorized, change: Record<string, string | undefined> = {}) =>
  rig.token({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: webRedirect, ...change });

/** The parameters that the client was answered with. */
const answered = ({ headers }: Answer) => new URL(headers.location ?? 'none:').searchParams;
const errorOf = async (params: Record<string, string | undefined>) => {
  const answer = await browser.ask(rig.request(params).address);
  return answered(answer).get('error') ?? `${answer.status} ${answer.text}`;
};

it('is for a server whichever of its addresses the client connects to', async () => {
  const url = rig.request({}).address;
  const own = new URL(url, 'http://x').searchParams.get('resource') ?? '';
  const sse = own.replace(/mcp$/, 'sse');
  const authorized = await rig.authorize(browser, { resource: sse });
  const answer = await redeem(authorized, { resource: sse });
  expect(answer.status).toBe(200);
  const tokens = answer.json() as { access_token: string; refresh_token?: string };
  expect(decodeJwt(tokens.access_token).aud).toBe(own);
});

describe('a request for authorization', () => {
  it('auth 1: goes nowhere without a challenge by S256, and a code nowhere without its verifier', async () => {
    expect(await errorOf({ code_challenge: undefined, code_challenge_method: undefined })).toBe('invalid_request');
    expect(await errorOf({ code_challenge_method: 'plain' })).toBe('invalid_request');
    expect(await errorOf({ code_challenge_method: undefined })).toBe('invalid_request');
    const authorized = await rig.authorize(browser);
    for (const code_verifier of [undefined, 'x'.repeat(43), '']) {
      const refused = await redeem(authorized, { code_verifier });
      expect(refused.json()['error']).toMatch(/^invalid_(grant|request)$/);
    }
    expect((await redeem(authorized)).status).toBe(200);
  });

  it.each([
    'https://app.example/callback/',
    'https://app.example/Callback',
    'https://app.example/callback?x=1',
    'https://app.example/callback#x',
    'https://app.example:444/callback',
    'https://app.example.evil.example/callback',
    'https://user@app.example/callback',
    'https://app.example/other/../callback',
    'http://app.example/callback',
    'javascript:alert(1)',
  ])('auth 2, auth 3: is not answered at %s, which was not registered', async (redirect_uri) => {
    const answer = await browser.ask(rig.request({ redirect_uri }).address);
    expect([answer.status, answer.headers.location]).toEqual([400, undefined]);
    expect(JSON.parse(answer.text)).toMatchObject({ page: 'error', error: 'invalid_redirect_uri' });
  });

  it('auth 2: may vary the port on loopback, and nothing else', async () => {
    const at = (redirect_uri: string) => browser.ask(rig.request({ client_id: 'cli', redirect_uri }).address);
    expect((await at('http://127.0.0.1:49152/callback')).status).toBe(303);
    for (const other of ['http://localhost:1/callback', 'http://127.0.0.1:1/other', 'http://[::1]:1/callback']) {
      expect((await at(other)).status, other).toBe(400);
    }
  });

  it('auth 3: of an unknown client is answered on a page', async () => {
    const answer = await browser.ask(rig.request({ client_id: 'nobody' }).address);
    expect([answer.status, answer.headers.location]).toEqual([400, undefined]);
    expect(JSON.parse(answer.text)).toMatchObject({ page: 'error', error: 'invalid_client' });
  });

  it('auth 6: is answered with the issuer, be it granted or refused', async () => {
    const nobody = await rig.browser();
    const refused = answered(await nobody.ask(rig.request({ prompt: 'none' }).address));
    expect([refused.get('error'), refused.get('iss'), refused.get('state')]).toEqual(['login_required', rig.url, 'st']);
    const { redirect } = await rig.authorize(browser);
    expect(redirect.searchParams.get('iss')).toBe(rig.url);
    const document = await browser.ask('/.well-known/oauth-authorization-server');
    expect(document.json()['authorization_response_iss_parameter_supported']).toBe(true);
  });

  it('auth 7: gives codes and nothing else, and takes no passwords', async () => {
    for (const response_type of ['token', 'id_token', 'code id_token', 'none', 'code token']) {
      const answer = await browser.ask(rig.request({ response_type }).address);
      expect(answer.headers.location, response_type).toContain('error=unsupported_response_type');
      expect(answer.headers.location).not.toMatch(/[#?&](access_token|id_token|code)=/);
    }
    for (const response_mode of ['fragment', 'form_post', 'web_message']) {
      expect(await errorOf({ response_mode }), response_mode).toBe('unsupported_response_mode');
    }
    const password = await rig.token({ grant_type: 'password', username: 'ada', password: 'x' });
    expect([password.status, password.json()['error']]).toEqual([400, 'unsupported_grant_type']);
  });

  it('names its resource exactly, or by scopes that only one has (T10, T11)', async () => {
    const slash = await browser.ask(rig.request({ resource: `${rig.audience('alpha')}/` }).address);
    expect(answered(slash).get('error')).toBe('invalid_target');
    expect(await errorOf({ resource: undefined })).toBe('invalid_target');
    expect(await errorOf({ resource: undefined, scope: 'user' })).toBe('invalid_target');
    const { access_token: token } = await rig.tokens(browser, { resource: undefined, scope: 'user alpha:read' });
    expect(decodeJwt(token)['aud']).toBe(rig.audience('alpha'));
  });

  it('is not for a virtual server that shares the scopes of a target, unless it asks for its own', async () => {
    const oauth = { scopes: ['files:read'].map((name) => ({ name, open: true })) };
    const common = { description: 'd', oauth };
    const team = { type: 'virtual', targets: [{ server: 'alpha' }], description: 'd' };
    const own = { scopes: [{ name: 'team:use', open: true }] };
    const other = await openOAuthRig({
      servers: { alpha: { module: 'm', port: 5001, ...common }, team: { ...team, oauth: own } },
    });
    try {
      const there = await other.browser(await other.user('bob'));
      const audienceOf = async (scope: string) =>
        decodeJwt((await other.tokens(there, { resource: undefined, scope })).access_token)['aud'];
      expect(await audienceOf('files:read')).toBe(other.audience('alpha'));
      expect(await audienceOf('team:use files:read')).toBe(other.audience('team'));
    } finally {
      await other.close();
    }
  });

  it('that names no scope gets the ordinary ones, by PAR too (T8)', async () => {
    const { address, verifier } = rig.request({ scope: undefined });
    const params = Object.fromEntries(new URL(address, rig.url).searchParams);
    const pushed = await browser.ask(`${oauthBase}/par`, { form: params, headers: { accept: 'application/json' } });
    expect(pushed.status).toBe(201);
    const { request_uri } = pushed.json() as Record<string, string>;
    const query = new URLSearchParams({ client_id: 'web', request_uri: request_uri ?? '' });
    const end = await rig.answer(browser, await browser.follow(`${oauthBase}/authorize?${query}`));
    const tokens = await redeem({ code: answered(end).get('code') ?? '', verifier, redirect: new URL(rig.url) });
    expect(tokens.json()['scope']).toBe('user alpha:read');
    const again = await browser.follow(`${oauthBase}/authorize?${query}`);
    expect(answered(again).get('error')).toBe('invalid_request_uri');
  });
});

describe('a code', () => {
  it('comes with consent, and becomes tokens for the one resource', async () => {
    const { access_token: token, refresh_token: refresh, ...rest } = await rig.tokens(browser);
    expect(rest).toEqual({ token_type: 'Bearer', expires_in: 3600, scope: 'user alpha:read' });
    expect(refresh).toHaveLength(43);
    const claims = await rig.identity.verifier.verify(token, rig.audience('alpha'));
    expect(claims).toMatchObject({ sub: ada, name: 'ada', client: 'web', scopes: ['user', 'alpha:read'] });
    expect(await refusalOf(rig.identity.verifier.verify(token, rig.audience('beta')))).toBe('audience');
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(decodeJwt(token)).toMatchObject({ access_version: expect.any(Number), auth_time: expect.any(Number) });
    const [session] = await rig.owner.query<{ kind: string }>('SELECT kind FROM user_sessions WHERE id = $1', [
      claims.sid,
    ]);
    expect(session?.kind).toBe('oauth');
  });

  it('auth 4: is bound to the client, the address and the resource', async () => {
    await rig.client('other');
    const authorized = await rig.authorize(browser);
    const refusals = [
      { client_id: 'other' },
      { redirect_uri: 'https://app.example/other' },
      { resource: rig.audience('beta') },
      { code: 'x'.repeat(43) },
    ];
    for (const change of refusals) {
      const refused = await redeem(authorized, change);
      expect([refused.status, refused.json()['error']]).toEqual([
        400,
        'resource' in change ? 'invalid_target' : 'invalid_grant',
      ]);
    }
    expect((await redeem(authorized)).status).toBe(200);
  });

  it('auth 4: that is redeemed eight times at once gives tokens to one, and those end', async () => {
    const authorized = await rig.authorize(browser);
    const answers = await Promise.all(Array.from({ length: 8 }, () => redeem(authorized)));
    const good = answers.filter(({ status }) => status === 200);
    expect(good).toHaveLength(1);
    expect(answers.filter((answer) => answer.json()['error'] === 'invalid_grant')).toHaveLength(7);
    const refresh_token = String(good[0]?.json()['refresh_token']);
    expect((await rig.token({ grant_type: 'refresh_token', refresh_token })).json()['error']).toBe('invalid_grant');
  });

  it('auth 4: is good for a minute at most', async () => {
    const authorized = await rig.authorize(browser);
    const [row] = await rig.owner.query<{ left: number }>(
      `SELECT extract(epoch FROM max(expires_at) - now())::float AS left FROM oauth_payloads WHERE model = 'AuthorizationCode'`,
    );
    expect(row?.left).toBeLessThanOrEqual(60);
    // What has expired was removed, or is refused by its own time.
    await rig.owner.query(
      "UPDATE oauth_payloads SET expires_at = now() - interval '1 s' WHERE model = 'AuthorizationCode'",
    );
    await rig.owner.query('DELETE FROM oauth_payloads WHERE expires_at < now()');
    expect((await redeem(authorized)).json()['error']).toBe('invalid_grant');
  });

  it('auth 5: that comes a second time ends everything that came of it', async () => {
    const authorized = await rig.authorize(browser);
    const tokens = (await redeem(authorized)).json() as Record<string, string>;
    const { verifier } = rig.identity;
    const token = tokens['access_token'] ?? '';
    expect((await verifier.verify(token, rig.audience('alpha'))).name).toBe('ada');
    expect((await redeem(authorized)).json()['error']).toBe('invalid_grant');
    await until('the access token is refused', async () => {
      return (await refusalOf(verifier.verify(token, rig.audience('alpha')))) === 'revoked';
    });
    const refreshed = await rig.token({ grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] });
    expect(refreshed.json()['error']).toBe('invalid_grant');
    const events = await rig.owner.query<{ type: string }>(
      "SELECT type FROM identity_events WHERE type = 'token_reuse'",
    );
    expect(events.length).toBeGreaterThan(0);
  });
});

describe('what was consented to', () => {
  const prompted = async (there: CookieBrowser, params: Record<string, string | undefined>) => {
    const first = await there.follow(rig.request(params).address);
    const path = new URL(first.url).pathname;
    return path.startsWith('/auth/interaction/') ? 'asked' : new URL(first.headers.location ?? 'none:').origin;
  };

  it('auth 8: is not asked again for the same user, client, resource and scopes, and each sign-in is one of its own', async () => {
    await rig.client('remembered');
    const eve = await rig.user('eve');
    const there = await rig.browser(eve);
    const params = { client_id: 'remembered' };
    const first = await rig.tokens(there, params);
    expect(await prompted(there, params)).toBe('https://app.example');
    const second = await rig.tokens(there, params);
    expect(decodeJwt(first.access_token)['sid']).not.toBe(decodeJwt(second.access_token)['sid']);
    // More than that, another resource, or another client.
    expect(await prompted(there, { ...params, scope: 'user alpha:wipe' })).toBe('https://app.example'); // not eve's to give
    expect(await prompted(there, { ...params, resource: rig.audience('beta') })).toBe('asked');
    expect(await prompted(there, { client_id: 'web' })).toBe('asked');
    // What was taken back.
    await rig.owner.query('UPDATE user_sessions SET revoked_at = now() WHERE client = $1 AND revoked_at IS NULL', [
      'remembered',
    ]);
    expect(await prompted(there, params)).toBe('asked');
  });

  it('is asked each time of a client on the own machine (T32)', async () => {
    const params = { client_id: 'cli', redirect_uri: 'http://127.0.0.1:3000/callback' };
    await rig.tokens(browser, params);
    expect(await prompted(browser, params)).toBe('asked');
  });

  it('is no more than the user has, and no more than they said', async () => {
    await rig.client('narrow');
    const params = { client_id: 'narrow', scope: 'user alpha:read alpha:wipe admin' };
    const { address, verifier } = rig.request(params);
    const end = await rig.answer(browser, await browser.follow(address), ['user', 'admin', 'alpha:wipe']);
    const authorized = { code: answered(end).get('code') ?? '', verifier, redirect: new URL(rig.url) };
    expect((await redeem(authorized, { client_id: 'narrow' })).json()['scope']).toBe('user');
    const nothing = rig.request({ client_id: 'narrow', scope: 'admin' });
    const refused = await rig.answer(browser, await browser.follow(nothing.address));
    expect(answered(refused).get('error')).toBe('access_denied');
  });

  it('is asked of who sits there: another user signs in, and the first one has no part in it', async () => {
    const there = await rig.browser(ada);
    await rig.authorize(there);
    const bob = await rig.user('bob');
    const other = await rig.browser(bob);
    for (const [name, kept] of other.cookies) there.cookies.set(name, kept);
    const tokens = await rig.tokens(there);
    expect(decodeJwt(tokens.access_token)['sub']).toBe(bob);
  });

  it('is worth nothing once nobody is signed in at the browser', async () => {
    const there = await rig.browser(ada);
    await rig.authorize(there);
    await rig.owner.query("UPDATE user_sessions SET revoked_at = now() WHERE kind = 'browser' AND user_id = $1", [ada]);
    const answer = await there.follow(rig.request().address);
    expect(new URL(answer.url).pathname).toBe('/auth/sign-in');
    browser = await rig.browser(ada);
  });
});
