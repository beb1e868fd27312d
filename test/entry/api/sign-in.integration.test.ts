import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BrowserSessions } from '../../../src/lib/app/people/browser-sessions.ts';
import { createSetupLink } from '../../../src/lib/app/people/setup-links.ts';
import { openDatabase } from '../../../src/lib/infra/database/connection.ts';
import type { UserId } from '../../../src/lib/shared/ids.ts';
import { startTestApi, type TestApi } from '../../helpers/api.ts';
import { SoftwareAuthenticator } from '../../helpers/authenticator.ts';
import { CookieJar } from '../../helpers/browser.ts';
import { externalUrl } from '../../helpers/identity.ts';
import { type OtherProvider, otherClient, startOtherProvider } from '../../helpers/oidc-provider.ts';
import { openTestPeople, type TestPeople } from '../../helpers/people.ts';
import { until } from '../../helpers/until.ts';

let company: OtherProvider;
let rig: TestPeople;
let api: TestApi;
let owner: UserId;

beforeAll(async () => {
  company = await startOtherProvider([`${externalUrl}/auth/federation/company/callback`]);
  const provider = { id: 'company', name: 'Company <b>', issuer: company.issuer, client_id: otherClient.id };
  rig = await openTestPeople(
    { security: { federation: [{ ...provider, client_secret: '${secret:company}', create_users: 'invited' }] } },
    { secrets: { company: otherClient.secret } },
  );
  api = await startTestApi(rig.test.identity.verifier, { people: rig.people });
  owner = (await rig.test.identity.users.ensureOwner()).id;
});
afterAll(async () => {
  await api?.close();
  await rig?.close();
  await company?.close();
});
beforeEach(() => rig.test.owner.query('TRUNCATE sign_in_attempts, passkeys CASCADE'));

/** A browser at the published address, which shows the last page and keeps cookies. */
class Browser {
  readonly jar = new CookieJar();
  body = '';

  async get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    return this.#take(await fetch(this.#url(path), { redirect: 'manual', headers: { ...this.#cookies, ...headers } }));
  }

  /** Sends a form of the page that is shown, with its hidden fields. */
  async submit(path: string, fields: Record<string, string> = {}): Promise<Response> {
    const body = new URLSearchParams({ csrf: this.csrf, ...fields });
    const headers = { ...this.#cookies, 'sec-fetch-site': 'same-origin' };
    return this.#take(await fetch(this.#url(path), { method: 'POST', redirect: 'manual', headers, body }));
  }

  /** What the page's script sends. */
  async ask(path: string, body: object = {}): Promise<Response> {
    const headers = { ...this.#cookies, 'content-type': 'application/json', 'x-csrf-token': this.csrf };
    const response = await fetch(this.#url(path), { method: 'POST', headers, body: JSON.stringify(body) });
    this.jar.keep(response.headers.getSetCookie());
    return response;
  }

  get csrf(): string {
    return /name="csrf" value="([^"]+)"/.exec(this.body)?.[1] ?? '';
  }

  get #cookies(): Record<string, string> {
    const { cookie } = this.jar.request.headers;
    return cookie === undefined ? {} : { cookie };
  }

  #url(path: string): string {
    return `http://localhost:${api.endpoint.port}${path}`;
  }

  async #take(response: Response): Promise<Response> {
    this.jar.keep(response.headers.getSetCookie());
    const text = await response.text();
    if ((response.headers.get('content-type') ?? '').startsWith('text/html')) this.body = text;
    return new Response(null, { status: response.status, headers: response.headers });
  }
}

const whereTo = (response: Response): (string | number | null)[] => [response.status, response.headers.get('location')];
const who = (browser: Browser) => rig.people.sessions.current(browser.jar.request);

/** The owner signs in by a fresh setup link and makes a passkey. */
async function setUp(browser: Browser, authenticator: SoftwareAuthenticator): Promise<void> {
  const { url } = await createSetupLink(rig.test.database, externalUrl, { userId: owner });
  const { pathname, search, searchParams } = new URL(url);
  await browser.get(`${pathname}${search}`);
  await browser.submit('/auth/owner', { token: searchParams.get('token') ?? '' });
  await browser.get('/auth/owner');
  const asked = await browser.ask('/auth/passkeys/register/options');
  const { options } = (await asked.json()) as { options: Parameters<SoftwareAuthenticator['create']>[0] };
  const kept = await browser.ask('/auth/passkeys/register', {
    response: { ...authenticator.create(options), authenticatorAttachment: null },
    name: 'Laptop',
    return_to: '/auth/account',
  });
  expect([kept.status, await kept.json()]).toEqual([200, { location: '/auth/account?added=passkey' }]);
}

async function signInByPasskey(browser: Browser, authenticator: SoftwareAuthenticator, returnTo: string) {
  const asked = await browser.ask('/auth/passkeys/sign-in/options', { return_to: returnTo });
  const { options } = (await asked.json()) as { options: Parameters<SoftwareAuthenticator['get']>[0] };
  return browser.ask('/auth/passkeys/sign-in', { response: authenticator.get(options), return_to: returnTo });
}

describe('The first owner', () => {
  it('comes by the link, which a look at it does not use up, makes a passkey, and signs in with it from then on', async () => {
    const { url } = await createSetupLink(rig.test.database, externalUrl, { userId: owner });
    const { search, searchParams } = new URL(url);
    const token = searchParams.get('token') ?? '';
    const browser = new Browser();
    for (const _ of [1, 2]) {
      const shown = await browser.get(`/auth/owner${search}`);
      expect(shown.status).toBe(200);
      expect(shown.headers.get('cache-control')).toBe('no-store');
      expect(shown.headers.get('referrer-policy')).toBe('no-referrer');
      expect(shown.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    }
    expect(whereTo(await browser.submit('/auth/owner', { token }))).toEqual([303, '/auth/owner']);
    expect(await who(browser)).toMatchObject({ userName: 'owner' });
    await browser.get('/auth/owner');
    expect(browser.body).toContain('this instance is yours');

    const thief = new Browser();
    await thief.get(`/auth/owner${search}`);
    expect((await thief.submit('/auth/owner', { token })).status).toBe(403);

    const authenticator = new SoftwareAuthenticator(externalUrl);
    await setUp(new Browser(), authenticator);
    const later = new Browser();
    await later.get('/auth/sign-in?return_to=/auth/interaction/abc');
    const answer = await signInByPasskey(later, authenticator, '/auth/interaction/abc');
    expect([answer.status, await answer.json()]).toEqual([200, { location: '/auth/interaction/abc' }]);
    expect(await who(later)).toMatchObject({ methods: ['passkey'] });
    expect(whereTo(await later.get('/auth/sign-in?return_to=/auth/device'))).toEqual([303, '/auth/device']);
    expect((await later.get('/auth/sign-in?fresh=1')).status).toBe(200);
  });
});

describe('Pages of sign-in', () => {
  it('are opened under the published name alone, since passkeys and cookies are bound to it', async () => {
    const response = await fetch(`${api.url}/auth/sign-in?return_to=/auth/account`, { redirect: 'manual' });
    expect(whereTo(response)).toEqual([303, `${externalUrl}/auth/sign-in?return_to=/auth/account`]);
  });

  it('send nobody to another place', async () => {
    const browser = new Browser();
    for (const to of [
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      '/auth/../../x',
      '/api/v1',
      '/auth/\t/x',
    ]) {
      await browser.get(`/auth/sign-in?return_to=${encodeURIComponent(to)}`);
      expect(browser.body).toContain('name="return_to" value="/auth/account"');
    }
  });

  it('take no form and no request that a page of ours did not send', async () => {
    const browser = new Browser();
    await browser.get('/auth/sign-in');
    expect((await browser.submit('/auth/sign-in', { csrf: 'x', email: 'a@example.com' })).status).toBe(403);
    const token = browser.csrf;
    const other = new Browser();
    await other.get('/auth/sign-in');
    expect((await other.submit('/auth/sign-in', { csrf: token, email: 'a@example.com' })).status).toBe(403);
    for (const path of ['sign-in/options', 'sign-in', 'register/options', 'register']) {
      const answer = await new Browser().ask(`/auth/passkeys/${path}`, { response: {} });
      expect([400, 403]).toContain(answer.status);
      expect(answer.headers.get('content-type')).toContain('application/problem+json');
    }
  });

  it('answer wrong input with what is wrong, never with a fault', async () => {
    const browser = new Browser();
    await browser.get('/auth/sign-in');
    const bodies = [
      {},
      { response: 1 },
      { response: { id: 'ä', type: 'public-key' } },
      [],
      { response: { id: 'x'.repeat(2000) } },
    ];
    for (const body of bodies) expect((await browser.ask('/auth/passkeys/sign-in', body)).status).toBe(400);
    const empty = { clientDataJSON: 'e30', authenticatorData: '', signature: '' };
    const answer = await browser.ask('/auth/passkeys/sign-in', {
      response: { id: 'AA', rawId: 'AA', type: 'public-key', response: empty },
    });
    expect(answer.status).toBe(401);
    for (const path of ['/auth/link', '/auth/link?token=x', '/auth/link?token=a&token=b', '/auth/owner?token=%00']) {
      expect((await browser.get(path)).status).toBe(403);
    }
    expect((await browser.get('/auth/federation/nobody/start')).status).toBe(404);
    expect((await browser.get('/auth/federation/company/callback?code=x')).status).toBe(401);
    expect((await browser.get(`/auth/federation/${'x'.repeat(3000)}/start`)).status).toBe(414);
  });

  it('auth 51: send who signed in a while ago to sign in again before a passkey is added', async () => {
    const browser = new Browser();
    await setUp(browser, new SoftwareAuthenticator(externalUrl));
    await browser.get('/auth/owner');
    await rig.test.owner.query("UPDATE browser_sessions SET auth_time = auth_time - interval '11 minutes'");
    const asked = await browser.ask('/auth/passkeys/register/options');
    expect([asked.status, ((await asked.json()) as { data: object }).data]).toEqual([
      401,
      { reason: 'recent_authentication', within_minutes: 10 },
    ]);
  });
});

it('auth 53: nobody is let in while the database is away, and nobody is told why', async () => {
  const database = openDatabase({ ...rig.test.testDatabase.app, host: '127.0.0.1', port: 9 });
  const away = await startTestApi(rig.test.identity.verifier, {
    people: { ...rig.people, sessions: new BrowserSessions({ database, externalUrl }) },
  });
  try {
    const url = `http://localhost:${away.endpoint.port}`;
    const headers = { cookie: `systemprompt-session-8080=${'a'.repeat(43)}` };
    const page = await fetch(`${url}/auth/sign-in`, { headers, redirect: 'manual' });
    expect([page.status, page.headers.get('location')]).toEqual([503, null]);
    expect(await page.text()).not.toMatch(/ECONNREFUSED|127\.0\.0\.1|at .*\.ts/);
    const asked = await fetch(`${url}/auth/passkeys/sign-in/options`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: '{}',
    });
    expect([asked.status, ((await asked.json()) as { code: string }).code]).toEqual([503, 'DATABASE_UNAVAILABLE']);
  } finally {
    await away.close();
    await database.close();
  }
});

describe('auth 48: a link by mail', () => {
  it('is asked for with one answer for all, is not used up by a look, and signs in by the button', async () => {
    await rig.user('ada', 'ada@example.com');
    const browser = new Browser();
    await browser.get('/auth/sign-in?return_to=/auth/device');
    const answers = [];
    for (const email of ['nobody@example.com', 'ada@example.com']) {
      const { status, headers } = await browser.submit('/auth/sign-in', { email, return_to: '/auth/device' });
      answers.push([status, [...headers.keys()].join(' '), browser.body.replaceAll(email, '')]);
      await browser.get('/auth/sign-in?return_to=/auth/device');
    }
    expect(answers[0]).toEqual(answers[1]);
    await until('the mail is there', async () => (await readdir(rig.outbox).catch(() => [])).length > 0);
    const [name = ''] = await readdir(rig.outbox);
    const mail = await readFile(join(rig.outbox, name), 'utf8');
    const token = /\/auth\/link\?token=(\S+)/.exec(mail)?.[1] ?? '';

    const scanner = new Browser();
    for (const _ of [1, 2]) expect((await scanner.get(`/auth/link?token=${token}`)).status).toBe(200);
    expect((await scanner.submit('/auth/link', { token })).status).toBe(403);
    await browser.get(`/auth/link?token=${token}`);
    expect(whereTo(await browser.submit('/auth/link', { token }))).toEqual([303, '/auth/device']);
    expect(await who(browser)).toMatchObject({ userName: 'ada', methods: ['mail_link'] });
    expect(api.log()).not.toContain(token);
  });
});

describe('Another provider', () => {
  it('auth 43: is gone to from our own page alone', async () => {
    const browser = new Browser();
    await browser.get('/auth/sign-in');
    expect(browser.body).toContain('Company &lt;b&gt;');
    for (const site of ['cross-site', 'same-site', 'none']) {
      const response = await browser.get('/auth/federation/company/start', { 'sec-fetch-site': site });
      expect(whereTo(response)).toEqual([303, '/auth/sign-in?return_to=%2Fauth%2Faccount']);
    }
    const linking = await browser.get('/auth/federation/company/start?link=1');
    expect(whereTo(linking)).toEqual([303, '/auth/account']);
  });

  it('signs in who was invited, and tells others at the choice', async () => {
    await rig.user('bea', 'bea@example.com');
    const walk = async (browser: Browser, email: string) => {
      company.next = { sub: email, email, email_verified: true };
      const start = '/auth/federation/company/start?return_to=/auth/device';
      const gone = await browser.get(start, { 'sec-fetch-site': 'same-origin' });
      const back = new URL(await company.walk(gone.headers.get('location') ?? ''));
      return browser.get(`${back.pathname}${back.search}`);
    };
    const browser = new Browser();
    expect(whereTo(await walk(browser, 'bea@example.com'))).toEqual([303, '/auth/device']);
    expect(await who(browser)).toMatchObject({ userName: 'bea' });
    const stranger = new Browser();
    expect((await walk(stranger, 'stranger@example.com')).status).toBe(403);
    expect(stranger.body).toContain('Nobody here is linked with this account of Company');
  });
});
