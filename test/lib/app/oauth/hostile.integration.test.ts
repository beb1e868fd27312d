import { calculateJwkThumbprint, createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { DatabaseUnavailableError } from '../../../../src/lib/shared/errors.ts';
import { sendRaw } from '../../../helpers/api.ts';
import type { CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { until } from '../../../helpers/identity.ts';
import { type OAuthRig, oauthBase, openOAuthRig, webRedirect } from '../../../helpers/oauth-rig.ts';

let rig: OAuthRig;
let browser: CookieBrowser;
const printed = vi.fn();

beforeAll(async () => {
  for (const channel of ['log', 'info', 'warn', 'error'] as const)
    vi.spyOn(console, channel).mockImplementation(printed);
  rig = await openOAuthRig();
  browser = await rig.browser(await rig.user('ada'));
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rig?.close();
});

const endpoints = ['token', 'par', 'device_authorization'] as const;
const json = { accept: 'application/json' };
/** As it stands on the wire, to the port of the rig. */
const raw = (text: string) => sendRaw(rig.api.endpoint.port, text.replaceAll('\n', '\r\n'));
const host = () => new URL(rig.url).host;

describe('bad input', () => {
  const odd = [
    '',
    'x',
    '0',
    '[]',
    '{}',
    'null',
    '\0',
    '\uD800',
    '%',
    '%00',
    '💥',
    "' OR 1=1 --",
    '../../x',
    'a b',
    'x'.repeat(5000),
  ];
  const names = [
    'client_id',
    'redirect_uri',
    'resource',
    'scope',
    'state',
    'response_type',
    'code_challenge',
    'prompt',
    'max_age',
    'nonce',
    'request',
    'request_uri',
    'claims',
    'login_hint',
    'id_token_hint',
    'response_mode',
    'ui_locales',
    'acr_values',
    'registration',
    'dpop_jkt',
  ];

  it('to the authorization endpoint is an error of the RFC or a page, never a fault', async () => {
    const seen = new Set<number>();
    for (const name of names) {
      await Promise.all(
        odd.map(async (value) => {
          const answer = await browser.ask(rig.request({ [name]: value }).address);
          seen.add(answer.status);
          expect(answer.status, `${name}=${value.slice(0, 20)} ${answer.text}`).toBeLessThan(500);
          expect(answer.text).not.toMatch(/at .+\(.+:\d+:\d+\)/);
        }),
      );
    }
    expect(
      [...seen].every((status) => [303, 400, 413, 414, 431].includes(status)),
      String([...seen]),
    ).toBe(true);
  });

  it.each(endpoints)('to /%s is an error of the RFC', async (endpoint) => {
    const forms = [
      ...names,
      'grant_type',
      'code',
      'code_verifier',
      'refresh_token',
      'device_code',
      'client_secret',
      'client_assertion',
      'client_assertion_type',
    ];
    for (const name of forms) {
      await Promise.all(
        odd.map(async (value) => {
          const form = { client_id: 'web', grant_type: 'refresh_token', refresh_token: 'x', [name]: value };
          const answer = await browser.ask(`${oauthBase}/${endpoint}`, { form, headers: json });
          expect(answer.status, `${name}=${value.slice(0, 20)} ${answer.text}`).toBeLessThan(500);
          if (answer.status >= 400) expect(Object.keys(answer.json())).toContain('error');
        }),
      );
    }
  });

  it('as a body is refused whatever it is', async () => {
    const path = `${oauthBase}/token`;
    const send = (body: string, headers: string) =>
      raw(
        `POST ${path} HTTP/1.1\nHost: ${host()}\nConnection: close\nContent-Length: ${Buffer.byteLength(body)}\n${headers}\n\n${body}`,
      );
    const type = (value: string) => `Content-Type: ${value}`;
    const form = 'application/x-www-form-urlencoded';
    const cases: [string, string, RegExp][] = [
      ['{}', type('application/json'), /^HTTP\/1.1 400 /],
      ['grant_type=x', type('text/plain'), /^HTTP\/1.1 400 /],
      ['grant_type=x', type(`${form}; charset=klingon`), /^HTTP\/1.1 400 /],
      ['\xff\xfe\x00', type(form), /^HTTP\/1.1 400 /],
      ['grant_type=refresh_token&grant_type=password&client_id=web', type(form), /invalid_request/],
      ['client_id=web&client_id=cli&grant_type=refresh_token', type(form), /invalid_request/],
      ['grant_type[]=x&client_id[a]=b&__proto__=x&constructor=y', type(form), /^HTTP\/1.1 400 /],
      ['x', `${type(form)}\n${type('text/plain')}`, /^HTTP\/1.1 400 /],
      ['x', `${type(form)}\nAuthorization: Basic a\nAuthorization: Basic b`, /^HTTP\/1.1 400 /],
      ['grant_type=x', `${type(form)}\nAuthorization: Basic !!!`, /^HTTP\/1.1 400 /],
      ['grant_type=x', `${type(form)}\nAuthorization: Basic`, /^HTTP\/1.1 400 /],
      ['grant_type=x', `${type(form)}\nAuthorization: Bearer x y z`, /^HTTP\/1.1 400 /],
      ['grant_type=x', `${type(form)}\nDPoP: a\nDPoP: b`, /^HTTP\/1.1 400 /],
    ];
    for (const [body, headers, expected] of cases) expect(await send(body, headers), headers).toMatch(expected);
    const large = await browser.ask(path, { form: { a: 'x'.repeat(100_000) }, headers: json });
    expect([large.status, large.json()['error']]).toEqual([413, 'invalid_request']);
    // Without a length, and without an end.
    const chunk = 'x'.repeat(1000);
    const chunks = Array.from({ length: 80 }, () => `3e8\n${chunk}\n`).join('');
    const endless = await raw(
      `POST ${path} HTTP/1.1\nHost: ${host()}\n${type(form)}\nTransfer-Encoding: chunked\n\n${chunks}`,
    );
    expect(endless).toMatch(/^HTTP\/1.1 400 /);
  });

  it('by another method is told which one it is', async () => {
    const answer = await browser.ask(`${oauthBase}/token`, { headers: json });
    expect([answer.status, answer.headers.allow, answer.json()['error']]).toEqual([405, 'POST', 'invalid_request']);
    const post = await browser.ask(`${oauthBase}/authorize`, { form: {} });
    expect([post.status, post.headers.allow]).toEqual([405, 'GET']);
  });

  it('auth 14: a token in the address is no token', async () => {
    const { access_token: token } = await rig.tokens(browser);
    const answer = await browser.ask(`${oauthBase}/userinfo?access_token=${token}`, { headers: json });
    expect(answer.status).toBe(400);
    expect(rig.api.log()).not.toContain(token);
  });

  it('auth 54: does not tell an unknown client from a wrong secret', async () => {
    await rig.client('kept', { token_endpoint_auth_method: 'client_secret_post' });
    const form = { grant_type: 'refresh_token', refresh_token: 'x', client_secret: 'wrong' };
    const [unknown, wrong] = await Promise.all(
      ['nobody', 'kept'].map((client_id) => rig.token({ ...form, client_id })),
    );
    expect([wrong?.status, wrong?.text]).toEqual([401, unknown?.text]);
    expect(wrong?.json()).toEqual({ error: 'invalid_client', error_description: 'client authentication failed' });
  });
});

describe('who asks from where', () => {
  it('auth 31: no header changes what is published', async () => {
    const honest = (await browser.ask('/.well-known/openid-configuration')).text;
    const poison = {
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '444',
      forwarded: 'host=evil.example;proto=https',
      'x-original-url': 'https://evil.example/',
    };
    const answer = await browser.ask('/.well-known/openid-configuration', { headers: poison });
    expect(answer.text).toBe(honest);
    for (const path of ['/.well-known/openid-configuration', `${oauthBase}/authorize`, `${oauthBase}/token`]) {
      expect((await browser.ask(path, { headers: { host: 'evil.example' } })).status, path).toBe(421);
    }
    // The form for proxies: what stands there is not looked at.
    const absolute = await raw(
      `GET http://evil.example/.well-known/openid-configuration HTTP/1.1\nHost: ${host()}\nConnection: close\n\n`,
    );
    expect(absolute).not.toMatch(/"issuer"|evil\.example\/api/);
    // By another of its names.
    const other = await browser.ask('/.well-known/openid-configuration', {
      headers: { host: `127.0.0.1:${new URL(rig.url).port}` },
    });
    expect(other.text).toBe(honest);
  });

  it('pages of other sites may ask what reads no cookie, and nothing else (auth 36)', async () => {
    const origin = 'https://app.example';
    for (const path of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']) {
      const answer = await browser.ask(path, { headers: { origin } });
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, origin]);
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    }
    const form = { grant_type: 'refresh_token', refresh_token: 'x' };
    const own = await rig.token(form, { origin });
    expect([own.status, own.headers['access-control-allow-origin']]).toEqual([400, origin]);
    for (const other of ['https://evil.example', 'null']) {
      const refused = await rig.token(form, { origin: other });
      expect([refused.status, refused.headers['access-control-allow-origin']], other).toEqual([400, undefined]);
      expect((await browser.ask(rig.request().address, { headers: { origin: other } })).status).toBe(403);
    }
    const preflight = await browser.ask(`${oauthBase}/token`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, origin]);
    const cookies = await browser.ask(`${oauthBase}/authorize`, {
      method: 'OPTIONS',
      headers: { origin: rig.url, 'access-control-request-method': 'GET' },
    });
    expect(cookies.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('every answer carries the headers that protect it', async () => {
    for (const path of [rig.request().address, '/auth/device', `${oauthBase}/authorize?client_id=x`]) {
      const { headers } = await browser.ask(path);
      expect(headers['x-content-type-options'], path).toBe('nosniff');
      expect(headers['x-frame-options']).toBe('DENY');
      expect(headers['referrer-policy']).toBe('no-referrer');
      expect(headers['cache-control']).toContain('no-store');
      expect(headers['x-request-id']).toBeDefined();
      for (const cookie of headers['set-cookie'] ?? []) expect(cookie).toMatch(/samesite=lax; httponly/i);
    }
  });
});

describe('keys', () => {
  it('auth 24: change while codes and tokens are issued, and none of them is refused', async () => {
    const keys = createRemoteJWKSet(new URL(`${rig.url}${oauthBase}/jwks`), { cooldownDuration: 0 });
    const kids = new Set<string>();
    let failed = 0;
    let running = true;
    let token = (await rig.tokens(browser)).refresh_token;
    const traffic = (async () => {
      while (running) {
        const answer = (await rig.token({ grant_type: 'refresh_token', refresh_token: token })).json();
        token = String(answer['refresh_token']);
        const access = String(answer['access_token']);
        kids.add(decodeProtectedHeader(access).kid ?? '');
        await Promise.all([
          rig.identity.verifier.verify(access, rig.audience('alpha')),
          jwtVerify(access, keys, { issuer: rig.url, audience: rig.audience('alpha'), typ: 'at+jwt' }),
        ]).catch(() => {
          failed += 1;
        });
      }
    })();
    const { active } = await rig.identity.keys.rotate();
    await until('tokens are signed by the next key', () => kids.has(active));
    running = false;
    await traffic;
    expect([failed, kids.size]).toEqual([0, 2]);
    const jwks = (await browser.ask(`${oauthBase}/jwks`)).json()['keys'] as Record<string, string>[];
    for (const jwk of jwks) {
      expect(jwk['d']).toBeUndefined();
      expect(jwk['kid']).toBe(await calculateJwkThumbprint(jwk));
    }
  });

  it('auth 24: that were revoked sign nothing that is believed', async () => {
    const { access_token: before } = await rig.tokens(browser);
    const { active } = await rig.identity.keys.rotate({ revoke: true });
    await until('the new key signs', async () => {
      const { access_token: token } = await rig.tokens(browser);
      return decodeProtectedHeader(token).kid === active;
    });
    await expect(rig.identity.verifier.verify(before, rig.audience('alpha'))).rejects.toThrow('key');
  });
});

describe('without the database', () => {
  it('auth 53: nothing is given out, and everybody is told to come again', async () => {
    const { refresh_token: token } = await rig.tokens(browser);
    const { address } = rig.request();
    await rig.authorization.clients.find('web');
    const away = () => Promise.reject(new DatabaseUnavailableError('postgres on secret-host:5432 refused'));
    const spies = [
      vi.spyOn(rig.database, 'query').mockImplementation(away),
      vi.spyOn(rig.database, 'transaction').mockImplementation(away),
    ];
    try {
      const refused = await rig.token({ grant_type: 'refresh_token', refresh_token: token });
      expect([refused.status, refused.json()['error']]).toEqual([503, 'temporarily_unavailable']);
      const page = await browser.ask(address);
      expect([303, 503]).toContain(page.status);
      expect(`${page.headers.location}${page.text}`).toContain('temporarily_unavailable');
      const unknown = await rig.token({ grant_type: 'refresh_token', refresh_token: token, client_id: 'never-seen' });
      expect(unknown.status).toBe(503);
      for (const { text } of [refused, page, unknown]) expect(text).not.toContain('secret-host');
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
    expect((await rig.token({ grant_type: 'refresh_token', refresh_token: token })).status).toBe(200);
  });

  it('auth 53: nobody is trusted when revocations are not known', async () => {
    const spy = vi.spyOn(rig.identity.verifier, 'assertFresh').mockImplementation(() => {
      throw new DatabaseUnavailableError('gone');
    });
    const answer = await rig.token({ grant_type: 'refresh_token', refresh_token: 'x' });
    const page = await browser.ask(rig.request().address);
    spy.mockRestore();
    expect([answer.status, answer.json()['error'], page.status]).toEqual([503, 'temporarily_unavailable', 503]);
    expect(JSON.parse(page.text)).toMatchObject({ page: 'error', error: 'temporarily_unavailable' });
  });

  it('auth 56: a restart keeps sessions and grants, and the log has no secret in it', async () => {
    const { code, verifier } = await rig.authorize(browser);
    const form = { grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: webRedirect };
    const tokens = (await rig.token(form)).json() as Record<string, string>;
    // A second process: nothing in memory, the same database and secrets.
    const again = await rig.reopen();
    try {
      const next = await again.token({ grant_type: 'refresh_token', refresh_token: tokens['refresh_token'] });
      expect(next.status).toBe(200);
    } finally {
      await again.close();
    }
    const log = rig.api.log();
    for (const value of [code, verifier, tokens['refresh_token'], tokens['access_token']])
      expect(log).not.toContain(value);
    expect(printed).not.toHaveBeenCalled();
  });
});
