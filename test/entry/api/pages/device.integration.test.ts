import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { oauthPages } from '../../../../src/entry/api/pages/oauth.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import type { Answer, CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { type OAuthRig, oauthBase, openOAuthRig } from '../../../helpers/oauth-rig.ts';

const grantType = 'urn:ietf:params:oauth:grant-type:device_code';
let rig: OAuthRig;
let ann: UserId;
let bob: UserId;

beforeAll(async () => {
  rig = await openOAuthRig({ pages: oauthPages });
  [ann, bob] = await Promise.all([rig.user('ann'), rig.user('bob')]);
});
afterAll(() => rig.close());
beforeEach(() => rig.owner.query('DELETE FROM sign_in_attempts'));

interface Device {
  readonly code: string;
  readonly userCode: string;
}

async function begin(): Promise<Device> {
  const browser = await rig.browser();
  const answer = await browser.ask(`${oauthBase}/device_authorization`, {
    form: { client_id: 'cli', resource: rig.audience('alpha'), scope: 'user' },
  });
  const { device_code: code, user_code: userCode } = answer.json() as Record<string, string>;
  return { code: String(code), userCode: String(userCode) };
}

/** What the token endpoint says to the device. */
async function poll({ code }: Device): Promise<Record<string, unknown>> {
  const answer = await rig.token({ grant_type: grantType, device_code: code, client_id: 'cli' });
  return answer.json();
}

const xsrfIn = ({ text }: Answer): string => /name="xsrf" value="([^"]*)"/.exec(text)?.[1] ?? '';

/** Enters a code, up to the page that asks whether that is the device. */
async function enter(browser: CookieBrowser, userCode: string): Promise<Answer> {
  const page = await browser.ask('/auth/device');
  return browser.ask('/auth/device', { form: { xsrf: xsrfIn(page), user_code: userCode } });
}

/** Says yes on that page, as far as it can be said without signing in. */
function confirm(browser: CookieBrowser, page: Answer, userCode: string): Promise<Answer> {
  return browser.ask('/auth/device', { form: { xsrf: xsrfIn(page), user_code: userCode, confirm: 'yes' } });
}

describe('auth 10: the device page', () => {
  it('takes no form without its token, or with that of another browser, and is protected itself', async () => {
    const { userCode } = await begin();
    const [mine, other] = [await rig.browser(ann), await rig.browser(bob)];
    const page = await mine.ask('/auth/device');
    await other.ask('/auth/device');
    expect(page.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    const refused = [
      await mine.ask('/auth/device', { form: { user_code: userCode } }),
      await other.ask('/auth/device', { form: { xsrf: xsrfIn(page), user_code: userCode } }),
    ];
    for (const { status, headers, text } of refused) {
      expect([status, headers['content-security-policy']]).toEqual([400, expect.stringContaining("script-src 'none'")]);
      expect(text).not.toContain('Is this your device?');
    }
  });

  it('leads on by 303', async () => {
    const { userCode } = await begin();
    const browser = await rig.browser();
    const { status, headers } = await confirm(browser, await enter(browser, userCode), userCode);
    expect([status, headers.location]).toEqual([303, expect.stringContaining('/auth/interaction/')]);
  });
});

describe('auth 37: a code', () => {
  it('has 8 letters that are not taken for others, and is shown with its client before anything is allowed', async () => {
    const device = await begin();
    expect(device.userCode).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    const { text } = await enter(await rig.browser(ann), device.userCode.toLowerCase().replace('-', ' '));
    for (const shown of ['Is this your device?', device.userCode, '>cli<']) expect(text).toContain(shown);
    expect(await poll(device)).toMatchObject({ error: 'authorization_pending' });
  });

  it('that came with the address is filled in, not sent', async () => {
    const { userCode } = await begin();
    const { text } = await (await rig.browser(ann)).ask(`/auth/device?user_code=${userCode}`);
    expect(text).toContain(`value="${userCode}"`);
    expect(text).not.toContain('<script');
    expect(text).not.toContain('Is this your device?');
  });

  it('works once', async () => {
    const device = await begin();
    const browser = await rig.browser(ann);
    const page = await enter(browser, device.userCode);
    const done = await rig.answer(
      browser,
      await browser.follow((await confirm(browser, page, device.userCode)).headers.location ?? ''),
    );
    expect(done.text).toContain('Your device is connected');
    expect((await enter(await rig.browser(bob), device.userCode)).text).toContain('was used already');
    expect(await poll(device)).toMatchObject({ token_type: 'Bearer' });
    expect(await poll(device)).toMatchObject({ error: 'invalid_grant' });
    expect((await enter(await rig.browser(bob), device.userCode)).text).toContain('There is no such code');
  });

  it('can be refused, and the device is told', async () => {
    const device = await begin();
    const browser = await rig.browser(ann);
    const page = await enter(browser, device.userCode);
    const form = { xsrf: xsrfIn(page), user_code: device.userCode, confirm: 'yes', abort: 'yes' };
    expect((await browser.ask('/auth/device', { form })).text).toContain('You refused it');
    expect(await poll(device)).toMatchObject({ error: 'access_denied' });
  });

  it('is not found by trying: after some guesses even the right one is refused, whoever guesses with', async () => {
    const { userCode } = await begin();
    for (let guess = 0; guess < 10; guess += 1) {
      expect((await enter(await rig.browser(ann), 'BBBB-BBBB')).text).toContain('There is no such code');
    }
    const late = await enter(await rig.browser(ann), userCode);
    expect([late.status, Number(late.headers['retry-after']) > 0]).toEqual([429, true]);
    expect(late.text).toContain('There were too many attempts');
    // Somebody else from the same address still gets in, until the address is over its own limit.
    expect((await enter(await rig.browser(bob), userCode)).text).toContain('Is this your device?');
    for (let guess = 0; guess < 10; guess += 1) await enter(await rig.browser(), 'BBBB-BBBB');
    expect((await enter(await rig.browser(bob), userCode)).status).toBe(429);
  });

  it('that was right costs nothing', async () => {
    const { userCode } = await begin();
    for (let entered = 0; entered < 12; entered += 1) {
      expect((await enter(await rig.browser(ann), userCode)).text).toContain('Is this your device?');
    }
  });

  it('is polled for no faster than allowed', async () => {
    const device = await begin();
    expect(await poll(device)).toMatchObject({ error: 'authorization_pending' });
    expect(await poll(device)).toMatchObject({ error: 'slow_down' });
  });
});

describe('auth 38: an approval', () => {
  it('is of who is signed in at the browser that gives it', async () => {
    const device = await begin();
    const browser = await rig.browser(ann);
    const page = await enter(browser, device.userCode);
    const { headers } = await confirm(browser, page, device.userCode);
    await rig.answer(browser, await browser.follow(headers.location ?? ''));
    const { access_token: token } = await poll(device);
    const { sub } = JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString()) as {
      sub: string;
    };
    expect(sub).toBe(ann);
  });

  it('is not given by another browser with what the first one was shown', async () => {
    const device = await begin();
    const [mine, other] = [await rig.browser(ann), await rig.browser(bob)];
    const page = await enter(mine, device.userCode);
    await other.ask('/auth/device');
    expect((await confirm(other, page, device.userCode)).status).toBe(400);
    const { headers } = await confirm(mine, page, device.userCode);
    const waiting = new URL(headers.location ?? '', rig.url).pathname;
    await expect(rig.answer(other, await other.ask(waiting))).rejects.toThrow('not begun in this browser');
    expect(await poll(device)).toMatchObject({ error: 'authorization_pending' });
  });
});
