import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oauthPages } from '../../../../src/entry/api/pages/oauth.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import type { Answer, CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { type OAuthRig, openOAuthRig } from '../../../helpers/oauth-rig.ts';

const loopback = 'http://127.0.0.1/callback';
let rig: OAuthRig;
let ann: UserId;

beforeAll(async () => {
  rig = await openOAuthRig({ pages: oauthPages });
  ann = await rig.user('ann');
});
afterAll(() => rig.close());

type Params = Readonly<Record<string, string | undefined>>;

/** Where a request for authorization of somebody who is signed in ends: at a page that asks, or at the client. */
function request(browser: CookieBrowser, params: Params = {}): Promise<Answer> {
  return browser.follow(rig.request(params).address);
}

const asks = ({ status, text }: Answer): boolean => status === 200 && text.includes('name="decision" value="allow"');

/** Ticks what is given and presses a button of the page. */
function decide(browser: CookieBrowser, { url, text }: Answer, decision: string, scopes: readonly string[]) {
  const csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? '';
  const ticked = Object.fromEntries(scopes.map((scope) => ['scope.0', scope]));
  return browser.ask(url, { form: { csrf, decision, ...ticked } });
}

/** Goes through a request, allowing one scope, up to the client. */
async function allow(browser: CookieBrowser, params: Params, scope: string): Promise<URL> {
  const page = await request(browser, params);
  expect(asks(page)).toBe(true);
  const { status, headers } = await decide(browser, page, 'allow', [scope]);
  expect(status).toBe(303);
  const end = await browser.follow(headers.location ?? '');
  return new URL(end.headers.location ?? 'none:');
}

describe('auth 8: whether an application may act', () => {
  it('is asked of each user, for each client, resource and scope, and remembered for just these', async () => {
    const browser = await rig.browser(ann);
    const first = await allow(browser, { scope: 'user' }, 'user');
    expect(first.searchParams.get('code')).not.toBeNull();
    expect(asks(await request(browser, { scope: 'user' }))).toBe(false);
    expect(asks(await request(browser, { scope: 'user alpha:read' }))).toBe(true);
    expect(asks(await request(browser, { scope: 'user', resource: rig.audience('beta') }))).toBe(true);
    expect(asks(await request(await rig.browser(await rig.user('bob')), { scope: 'user' }))).toBe(true);
  });

  it('is asked for a client that has just registered, in a browser that is signed in and allowed others', async () => {
    const browser = await rig.browser(ann);
    await rig.client('new');
    expect(asks(await request(browser, { client_id: 'new', scope: 'user' }))).toBe(true);
  });

  it("is asked each time for one on the user's device", async () => {
    const browser = await rig.browser(ann);
    const params = { client_id: 'cli', redirect_uri: loopback, scope: 'user' };
    await allow(browser, params, 'user');
    expect(asks(await request(browser, params))).toBe(true);
  });

  it('is asked again once it was disconnected', async () => {
    const user = await rig.user('eve');
    const browser = await rig.browser(user);
    await allow(browser, { scope: 'user' }, 'user');
    await rig.owner.query("UPDATE user_sessions SET revoked_at = now() WHERE user_id = $1 AND kind = 'oauth'", [user]);
    expect(asks(await request(browser, { scope: 'user' }))).toBe(true);
  });

  it('is no when nothing is ticked, or when somebody else signed in meanwhile', async () => {
    const browser = await rig.browser(await rig.user('joe'));
    const page = await request(browser, { scope: 'user' });
    const { headers } = await decide(browser, page, 'allow', []);
    const end = await browser.follow(headers.location ?? '');
    expect(new URL(end.headers.location ?? 'none:').searchParams.get('error')).toBe('access_denied');

    const next = await request(browser, { scope: 'user' });
    const other = await rig.browser(ann);
    for (const [name, cookie] of other.cookies) browser.cookies.set(name, cookie);
    expect((await decide(browser, next, 'allow', ['user'])).status).toBe(403);
  });
});

describe('auth 9: what the page says', () => {
  it('is of the client that asks, and offers nothing that the user may not have', async () => {
    const browser = await rig.browser(ann);
    const { text, headers } = await request(browser, {
      scope: 'user admin alpha:wipe',
      redirect_uri: loopback,
      client_id: 'cli',
    });
    for (const shown of [
      'Allow <bdi>cli</bdi>?',
      '127.0.0.1',
      'alpha',
      'a program on your own device',
      'not yours to give',
    ]) {
      expect(text).toContain(shown);
    }
    const offered = [...text.matchAll(/type="checkbox"[^>]*value="([^"]+)"/g)].map(([, scope]) => scope);
    expect(offered).toEqual(['user']);
    expect(headers['content-security-policy']).toContain("form-action 'self' http://127.0.0.1;");
  });
});
