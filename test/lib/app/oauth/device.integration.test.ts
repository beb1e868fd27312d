import * as oauth from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { type OAuthRig, oauthBase, openOAuthRig } from '../../../helpers/oauth-rig.ts';

let rig: OAuthRig;
let browser: CookieBrowser;
let config: oauth.Configuration;

beforeAll(async () => {
  rig = await openOAuthRig();
  browser = await rig.browser(await rig.user('ada'));
  const execute = [oauth.allowInsecureRequests];
  config = await oauth.discovery(new URL(rig.url), 'cli', undefined, oauth.None(), { execute });
});
afterAll(() => rig?.close());

const shown = (text: string) => JSON.parse(text) as Record<string, string>;

describe('openid-client', () => {
  it('finds the endpoints, by both documents, all of them at the issuer (auth 31)', async () => {
    const server = config.serverMetadata();
    expect(server).toMatchObject({
      issuer: rig.url,
      authorization_endpoint: `${rig.url}${oauthBase}/authorize`,
      token_endpoint: `${rig.url}${oauthBase}/token`,
      jwks_uri: `${rig.url}${oauthBase}/jwks`,
      device_authorization_endpoint: `${rig.url}${oauthBase}/device_authorization`,
      pushed_authorization_request_endpoint: `${rig.url}${oauthBase}/par`,
      userinfo_endpoint: `${rig.url}${oauthBase}/userinfo`,
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      code_challenge_methods_supported: ['S256'],
      id_token_signing_alg_values_supported: ['ES256'],
      scopes_supported: ['openid', 'offline_access', 'profile', 'email'],
      authorization_response_iss_parameter_supported: true,
    });
    const [one, two] = await Promise.all(
      ['oauth-authorization-server', 'openid-configuration'].map((name) => browser.ask(`/.well-known/${name}`)),
    );
    expect(one?.json()).toEqual(two?.json());
    expect(one?.headers['cache-control']).toBe('public, max-age=300');
  });

  it('gets a code on loopback, tokens and an ID token for it, who it is, and new ones', async () => {
    const verifier = oauth.randomPKCECodeVerifier();
    const [state, nonce] = [oauth.randomState(), oauth.randomNonce()];
    const address = oauth.buildAuthorizationUrl(config, {
      redirect_uri: 'http://127.0.0.1:4711/callback',
      scope: 'openid profile user',
      resource: rig.audience('alpha'),
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    });
    const end = await rig.answer(browser, await browser.follow(address.href));
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true };
    const tokens = await oauth.authorizationCodeGrant(config, new URL(end.headers.location ?? ''), checks);
    expect(tokens.claims()).toMatchObject({ iss: rig.url, aud: 'cli', nonce });
    expect(tokens.scope).toBe('user');
    await rig.identity.verifier.verify(tokens.access_token, rig.audience('alpha'));
    const next = await oauth.refreshTokenGrant(config, tokens.refresh_token ?? '');
    expect(next.refresh_token).not.toBe(tokens.refresh_token);
  });

  it('signs a person in to an app that asks for no resource, and tells who it is', async () => {
    const verifier = oauth.randomPKCECodeVerifier();
    const address = oauth.buildAuthorizationUrl(config, {
      redirect_uri: 'http://127.0.0.1:4711/callback',
      scope: 'openid profile',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const end = await rig.answer(browser, await browser.follow(address.href));
    const tokens = await oauth.authorizationCodeGrant(config, new URL(end.headers.location ?? ''), {
      pkceCodeVerifier: verifier,
      idTokenExpected: true,
    });
    const info = await oauth.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '');
    expect(info).toMatchObject({ name: 'ada', preferred_username: 'ada' });
    // Good for that and nothing else.
    await expect(rig.identity.verifier.verify(tokens.access_token, rig.audience('alpha'))).rejects.toThrow();
  });

  it('connects a device: the code is entered, compared and allowed by who is signed in', async () => {
    const device = await oauth.initiateDeviceAuthorization(config, { resource: rig.audience('alpha') });
    expect(device.user_code).toMatch(/^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/);
    expect(device.verification_uri).toBe(`${rig.url}/auth/device`);
    expect(device.expires_in).toBe(600);
    const poll = () =>
      rig.token({
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        client_id: 'cli',
        device_code: device.device_code,
      });
    expect((await poll()).json()['error']).toBe('authorization_pending');

    const filledIn = shown((await browser.ask(device.verification_uri_complete ?? '')).text);
    expect(filledIn).toMatchObject({ page: 'device-code', userCode: device.user_code });
    const wrong = { xsrf: filledIn['xsrf'] ?? '', user_code: 'BBBB-BBBB' };
    expect(shown((await browser.ask('/auth/device', { form: wrong })).text)).toMatchObject({ problem: 'unknown' });

    const fresh = shown((await browser.ask('/auth/device')).text);
    const form = { xsrf: fresh['xsrf'] ?? '', user_code: device.user_code.toLowerCase() };
    const confirm = shown((await browser.ask('/auth/device', { form })).text);
    expect(confirm).toMatchObject({ page: 'device-confirm', userCode: device.user_code, client: { id: 'cli' } });
    const forged = await browser.ask('/auth/device', { form: { ...form, xsrf: 'x', confirm: 'yes' } });
    expect(shown(forged.text)['page']).not.toBe('device-done');
    const page = shown((await browser.ask('/auth/device')).text);
    const yes = { xsrf: page['xsrf'] ?? '', user_code: device.user_code, confirm: 'yes' };
    const done = await rig.answer(browser, await browser.follow('/auth/device', { form: yes }));
    expect(shown(done.text)).toMatchObject({ page: 'device-done', id: 'cli' });

    const tokens = await oauth.pollDeviceAuthorizationGrant(config, { ...device, interval: 0 } as typeof device);
    expect(tokens.scope).toBe('user alpha:read');
    expect((await rig.identity.verifier.verify(tokens.access_token, rig.audience('alpha'))).name).toBe('ada');
    const used = shown((await browser.ask('/auth/device')).text);
    const again = await browser.ask('/auth/device', { form: { ...yes, xsrf: used['xsrf'] ?? '' } });
    expect(shown(again.text)).toMatchObject({ page: 'device-code', problem: 'used' });
    expect((await poll()).json()['error']).toBe('invalid_grant');
  });

  it('is told when the user refuses the device', async () => {
    const device = await oauth.initiateDeviceAuthorization(config, { resource: rig.audience('alpha') });
    const page = shown((await browser.ask('/auth/device')).text);
    const no = { xsrf: page['xsrf'] ?? '', user_code: device.user_code, abort: 'yes' };
    expect(shown((await browser.ask('/auth/device', { form: no })).text)).toMatchObject({ problem: 'aborted' });
    await expect(
      oauth.pollDeviceAuthorizationGrant(config, { ...device, interval: 0 } as typeof device),
    ).rejects.toMatchObject({ error: 'access_denied' });
  });
});
