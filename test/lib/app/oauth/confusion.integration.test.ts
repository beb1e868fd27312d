import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';
import type { CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { type OAuthRig, openOAuthRig } from '../../../helpers/oauth-rig.ts';

/* Where two things meet that each hold by themselves: browsers, users, clients, and what was granted to whom. */

let rig: OAuthRig;
let ada: UserId;
let browser: CookieBrowser;

beforeAll(async () => {
  rig = await openOAuthRig({ people: true });
  ada = await rig.user('ada');
  browser = await rig.browser(ada);
});
afterAll(() => rig?.close());

/** The error that a request is answered with at the client's address. */
async function errorOf(at: CookieBrowser, params: Record<string, string>): Promise<string | null> {
  const { address } = rig.request(params);
  const answer = await at.follow(address);
  return new URL(answer.headers.location ?? 'none:').searchParams.get('error');
}

describe('a browser', () => {
  it('auth 8: is not shown, and can not decide, what another one was asked', async () => {
    const asked = await browser.follow(rig.request().address);
    const { pathname } = new URL(asked.url);
    expect(pathname).toMatch(/^\/auth\/interaction\//);
    for (const other of [await rig.browser(), await rig.browser(ada), await rig.browser(await rig.user('eve'))]) {
      const page = await other.ask(pathname);
      expect([303, 404]).toContain(page.status);
      expect(page.text).not.toContain('Allow');
      const said = await other.ask(pathname, { form: { decision: 'allow' } });
      expect([303, 403, 404]).toContain(said.status);
      expect(said.headers.location ?? '').not.toContain('code=');
    }
  });

  it('auth 8: is asked nothing with prompt=none, and given nothing without consent or sign-in', async () => {
    const [bob, nobody] = [await rig.browser(await rig.user('bob')), await rig.browser()];
    expect(await errorOf(nobody, { prompt: 'none' })).toBe('login_required');
    expect(await errorOf(bob, { prompt: 'none' })).toMatch(/^(login|consent|interaction)_required$/);
    await rig.authorize(bob);
    expect(await errorOf(bob, { prompt: 'none' })).toBeNull();
    // Nor for more than was agreed to, nor when nobody sits there any more, though the library remembers who did.
    expect(await errorOf(bob, { prompt: 'none', resource: rig.audience('beta') })).toBe('consent_required');
    await rig.owner.query(
      "UPDATE user_sessions SET revoked_at = now() WHERE kind = 'browser' AND user_id = (SELECT id FROM users WHERE name = 'bob')",
    );
    expect(await errorOf(bob, { prompt: 'none' })).toBe('login_required');
  });

  it('is not sent on as somebody else than the client means', async () => {
    const carl = await rig.browser(await rig.user('carl'));
    const tokens = await rig.tokens(carl, { scope: 'openid user' });
    expect(tokens['id_token']).toBeDefined();
    const scope = 'openid user';
    await rig.authorize(browser, { scope });
    const asCarl = { prompt: 'none', scope, id_token_hint: String(tokens['id_token']) };
    expect(await errorOf(carl, asCarl)).toBeNull();
    expect(await errorOf(browser, asCarl)).toBe('login_required');
  });
});

describe('what was granted to a client', () => {
  it('auth 19: raises no person who uses it, neither at consent nor at a refresh', async () => {
    await rig.owner.query(
      `INSERT INTO access_grants (subject_type, subject, server, scope, created_by)
       VALUES ('client', 'web', 'alpha', 'alpha:wipe', $1)`,
      [ada],
    );
    const tokens = await rig.tokens(browser, { scope: 'user alpha:read alpha:wipe' });
    expect(String(tokens['scope']).split(' ').sort()).toEqual(['alpha:read', 'user']);
    const form = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
    const next = (await rig.token(form)).json() as { scope: string };
    expect(next.scope.split(' ')).not.toContain('alpha:wipe');
  });
});

describe('the window of a refresh', () => {
  it('auth 17: is closed with the sign-in, and to other clients', async () => {
    await rig.client('other');
    const tokens = await rig.tokens(browser);
    const form = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
    const first = await rig.token(form);
    expect(first.status).toBe(200);
    expect((await rig.token(form)).json()).toEqual(first.json());
    expect((await rig.token({ ...form, client_id: 'other' })).status).toBe(400);
    // What another client tried costs the first one nothing.
    expect((await rig.token(form)).json()).toEqual(first.json());
    const { access_token: access } = first.json() as { access_token: string };
    const { sid } = JSON.parse(Buffer.from(access.split('.')[1] ?? '', 'base64url').toString()) as { sid: SessionId };
    await rig.identity.sessions.revoke(sid);
    expect((await rig.token(form)).json()).toMatchObject({ error: 'invalid_grant' });
  });

  it('auth 23: gives no bearer token to who brings a key', async () => {
    const tokens = await rig.tokens(browser);
    const form = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token };
    expect((await rig.token(form)).status).toBe(200);
    const again = await rig.token(form, { dpop: await proof() });
    expect(again.json()).toMatchObject({ error: 'invalid_grant' });
  });
});

async function proof(): Promise<string> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  return new SignJWT({ htm: 'POST', htu: `${rig.url}/api/v1/core/oauth/token`, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(publicKey) })
    .setIssuedAt()
    .sign(privateKey);
}
