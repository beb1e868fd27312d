import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import type { CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { type OAuthRig, openOAuthRig, webRedirect } from '../../../helpers/oauth-rig.ts';

let rig: OAuthRig;
let ada: UserId;
let browser: CookieBrowser;

beforeAll(async () => {
  rig = await openOAuthRig();
  ada = await rig.user('ada');
  browser = await rig.browser(ada);
});
afterAll(() => rig?.close());

describe('an authorization code', () => {
  it('comes with consent, and becomes tokens for the one resource', async () => {
    const { code, verifier, redirect } = await rig.authorize(browser);
    expect(redirect.searchParams.get('state')).toBe('st');
    expect(redirect.searchParams.get('iss')).toBe(rig.url);
    const answer = await rig.token({
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: webRedirect,
    });
    expect(answer.text).toContain('access_token');
    const { access_token: token, refresh_token: refresh } = answer.json() as Record<string, string>;
    expect(refresh).toHaveLength(43);
    const claims = await rig.identity.verifier.verify(token ?? '', rig.audience('alpha'));
    expect(claims).toMatchObject({ sub: ada, name: 'ada', client: 'web', scopes: ['user', 'alpha:read'] });
    expect(decodeProtectedHeader(token ?? '')).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    expect(decodeJwt(token ?? '')).toMatchObject({ access_version: expect.any(Number), auth_time: expect.any(Number) });
  });
});
