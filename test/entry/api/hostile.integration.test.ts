import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { oauthPages } from '../../../src/entry/api/pages/oauth.ts';
import { DatabaseUnavailableError } from '../../../src/lib/shared/errors.ts';
import { sendRaw } from '../../helpers/api.ts';
import type { CookieBrowser } from '../../helpers/cookie-browser.ts';
import { type OAuthRig, oauthBase, openOAuthRig } from '../../helpers/oauth-rig.ts';

// Every address of identity against whatever can be sent to it. What the authorization, token, PAR and device endpoints
// say to bad parameters stands in test/lib/app/oauth/hostile.integration.test.ts.

let rig: OAuthRig;
let cookies: string;

beforeAll(async () => {
  rig = await openOAuthRig({ pages: oauthPages, people: true });
  const browser: CookieBrowser = await rig.browser(await rig.user('ada'));
  cookies = browser.cookieHeader('/')?.cookie ?? '';
});
afterAll(() => rig?.close());

type Kind = 'oauth' | 'page' | 'json' | 'document';
interface Endpoint {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly kind: Kind;
}
const of = (kind: Kind, method: Endpoint['method'], ...paths: string[]): Endpoint[] =>
  paths.map((path) => ({ method, path, kind }));
const id = '0199f3a1-5c1e-4d5e-8f4e-3b1f4a2d9c10';
const programs = ['token', 'register', 'revoke', 'introspect', 'userinfo', 'par', 'device_authorization'];
const documents = [
  ...of('document', 'GET', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'),
  ...of('document', 'GET', `${oauthBase}/jwks`, '/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp'),
  ...of('document', 'GET', '/.well-known/oauth-protected-resource/api/v1'),
];
const endpoints: readonly Endpoint[] = [
  ...of('oauth', 'POST', ...programs.map((name) => `${oauthBase}/${name}`)),
  ...of('oauth', 'GET', `${oauthBase}/userinfo`),
  ...of('page', 'GET', `${oauthBase}/authorize`, `${oauthBase}/authorize/${id}`, '/auth/device', `/auth/device/${id}`),
  ...of('page', 'GET', `/auth/interaction/${id}`, '/auth/sign-in', '/auth/link', '/auth/owner', '/auth/account'),
  ...of('page', 'GET', '/auth/signed-out', '/auth/federation/x/start', '/auth/federation/x/callback'),
  ...of('page', 'POST', `/auth/interaction/${id}`, '/auth/sign-in', '/auth/sign-out', '/auth/link', '/auth/owner'),
  ...of('page', 'POST', '/auth/device', `/auth/account/session/${id}/end`, '/auth/account/x/x/end'),
  ...of('json', 'POST', '/auth/passkeys/sign-in', '/auth/passkeys/sign-in/options', '/auth/passkeys/register'),
  ...of('json', 'POST', '/auth/passkeys/register/options', `/auth/passkeys/${id}/name`),
  ...of('document', 'GET', '/auth/assets/x.js'),
  ...documents,
];

interface Heard {
  readonly status: number;
  readonly type: string;
  readonly head: string;
  readonly body: string;
}

type Change = Partial<Record<'query' | 'headers' | 'body' | 'host', string>>;

/** Sends bytes (latin1) as they are. */
async function send(endpoint: Endpoint, change: Change = {}) {
  const { port } = rig.api.endpoint;
  const { query = '', headers = '', body = '', host = `localhost:${port}` } = change;
  const length = endpoint.method === 'POST' || body !== '' ? `Content-Length: ${body.length}\r\n` : '';
  const text = await sendRaw(
    port,
    Buffer.from(
      `${endpoint.method} ${endpoint.path}${query} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${length}${headers}\r\n${body}`,
      'latin1',
    ),
  );
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const heard: Heard = {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]),
    type: /^content-type: ([^;\r]*)/im.exec(head)?.[1] ?? '',
    head,
    body: rest.join('\r\n\r\n'),
  };
  return heard;
}

const stack = /\bat .{1,200}:\d+:\d+|node_modules|node:internal|\/src\/|\/dist\/|SELECT |INSERT /;

/** An answer that says what is wrong in the form of that address, and nothing of the inside. */
function expectSound({ status, type, head, body }: Heard, { kind, path }: Endpoint, what: string): void {
  const where = `${path} ${what.slice(0, 80)}: ${head.split('\r\n')[0]} ${body.slice(0, 300)}`;
  expect(status, where).toBeGreaterThanOrEqual(200);
  expect(status, where).toBeLessThan(500);
  expect(body, where).not.toMatch(stack);
  // What is no HTTP is answered before anybody looks at the address.
  if (status < 400 || !/x-request-id/i.test(head)) return;
  if (kind === 'oauth' && status !== 421)
    expect(`${type} ${body}`, where).toMatch(/^application\/json .*"error":"[a-z_]+"/s);
  if (kind === 'json') expect(type, where).toBe('application/problem+json');
}

const form = 'Content-Type: application/x-www-form-urlencoded\r\n';
const json = 'Content-Type: application/json\r\n';
const deep = `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`;
const bodies: readonly (readonly [string, string])[] = [
  ['', ''],
  [form, 'a=%00&b=%ff%fe&c=%E0%A4%A&token=\xff\xfe\x00'],
  [form, 'token=a&token=b&csrf=x&csrf=y&client_id=web&client_id=cli'],
  [form, 'token[]=a&token[b]=c&__proto__[x]=1&constructor=1&toString=1'],
  [form, `token=${'x'.repeat(60_000)}`],
  [form, 'x'.repeat(200_000)],
  [json, ''],
  [json, '{'],
  [json, 'null'],
  [json, '[]'],
  [json, '"x"'],
  [json, '{"response":1,"return_to":[],"name":{},"csrf":null,"redirect_uris":"x","client_name":1}'],
  [json, '{"redirect_uris":["http://a","https://\\u0000"],"client_name":"\\ud800","__proto__":{"x":1}}'],
  [json, '{"return_to":"\xff\xfe\\u0000","response":{"id":"\\u0000","rawId":"%","type":"public-key","response":{}}}'],
  [json, deep],
  ['Content-Type: application/json; charset=klingon\r\n', '{}'],
  ['Content-Type: multipart/form-data\r\n', 'x'],
  ['Content-Type: text/plain\r\n', 'x'],
  ['Content-Type: \xff\r\n', 'x'],
  [`${form}${json}`, 'a=b'],
  [`${json}Content-Encoding: gzip\r\n`, '\x1f\x8b\x08\x00'],
];
const headers: readonly string[] = [
  'Authorization: Bearer\r\n',
  'Authorization: Basic !!!\r\n',
  'Authorization: Basic Og==\r\n',
  'Authorization: Bearer a\r\nAuthorization: Bearer b\r\n',
  `Authorization: Bearer ${'x'.repeat(9000)}\r\n`,
  'Authorization: DPoP x\r\nDPoP: \xff\r\n',
  'DPoP: a\r\nDPoP: b\r\n',
  'Cookie: =; a=%; systemprompt=\xff; __proto__=1\r\n',
  `Cookie: a=b\r\nCookie: c=${'d'.repeat(8000)}\r\n`,
  'Origin: null\r\nSec-Fetch-Site: cross-site\r\n',
  'Origin: https://evil.example\r\n',
  'X-Forwarded-For: \xff, a, ::1\r\nForwarded: for=";;"\r\n',
  'X-Request-Id: \xff\r\nTraceparent: x\r\n',
  'Accept: \xff;q=x\r\nAccept-Language: *\r\n',
  'X-CSRF-Token: a\r\nX-CSRF-Token: b\r\n',
];
const queries: readonly string[] = [
  '?',
  '?%',
  '?%00=%00',
  '?token=%ff%fe&return_to=%E0%A4%A',
  '?token=a&token=b&return_to=/a&return_to=/b&user_code=A&user_code=B&fresh=1&fresh=2',
  '?return_to=//evil.example&token[]=x&state=x&code=y&iss=z&user_code=%00',
  '?return_to=/auth/account%0d%0aset-cookie:a=b',
  `?token=${'x'.repeat(9000)}`,
  '?__proto__[a]=b&constructor=x&toString=1',
];

/** A few at a time: each opens a connection. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

describe('bad input', () => {
  it('of every kind is refused in the form of the address, without a word about the inside', async () => {
    const matrix = endpoints.flatMap((endpoint): ({ readonly endpoint: Endpoint } & Change)[] => [
      ...bodies.filter(() => endpoint.method === 'POST').map(([type, body]) => ({ endpoint, headers: type, body })),
      ...headers.map((more) => ({ endpoint, headers: more })),
      ...queries.map((query) => ({ endpoint, query })),
    ]);
    await each(matrix, async ({ endpoint, ...change }) => {
      const signedIn = change.headers?.includes('Cookie') ? '' : `Cookie: ${cookies}\r\n`;
      const heard = await send(endpoint, { ...change, headers: `${change.headers ?? ''}${signedIn}` });
      expectSound(heard, endpoint, JSON.stringify(change));
    });
  }, 60_000);

  it('for another host is misdirected, whatever the address', async () => {
    await each(endpoints, async (endpoint) => {
      for (const host of ['evil.example', 'localhost', 'localhost:1', '', 'a b', '\xff']) {
        const heard = await send(endpoint, { host });
        expect([400, 421], `${endpoint.path} ${host}`).toContain(heard.status);
        expect(heard.body).not.toContain('evil.example');
      }
    });
  });

  it('made of chance is no fault either', async () => {
    const chance = fc.record({
      endpoint: fc.constantFrom(...endpoints),
      type: fc.constantFrom(form, json),
      body: fc.oneof(
        fc.json(),
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      ),
      query: fc.webQueryParameters(),
    });
    await fc.assert(
      fc.asyncProperty(chance, async ({ endpoint, type, body, query }) => {
        const bytes = Buffer.from(body).toString('latin1');
        const heard = await send(endpoint, {
          query: `?${query}`,
          headers: `${type}Cookie: ${cookies}\r\n`,
          body: bytes,
        });
        expectSound(heard, endpoint, `${query} ${body}`);
      }),
      { numRuns: 150 },
    );
  });
});

describe('without the database', () => {
  it('auth 53: nothing is done and nothing shown that it would take: 503, in the form of the address', async () => {
    const csrf = 'x'.repeat(43);
    const asked: Record<string, number> = {};
    const away = () => Promise.reject(new DatabaseUnavailableError('postgres on secret-host:5432 refused'));
    const spies = (['query', 'transaction'] as const).map((name) =>
      vi.spyOn(rig.database, name).mockImplementation(away),
    );
    try {
      await each(endpoints, async (endpoint) => {
        const body =
          endpoint.kind === 'json'
            ? [json, '{}']
            : endpoint.path.endsWith('/register')
              ? [json, '{"redirect_uris":["https://app.example/cb"]}']
              : [
                  form,
                  `csrf=${csrf}&xsrf=x&user_code=BCDFGHJK&token=${csrf}&client_id=nobody&client_secret=x&email=a@b.example`,
                ];
        const [type, sent] = endpoint.method === 'POST' ? body : ['', ''];
        const heard = await send(endpoint, {
          headers: `${type}Cookie: ${cookies}\r\nX-CSRF-Token: ${csrf}\r\n`,
          body: sent ?? '',
          query: endpoint.method === 'GET' ? `?token=${csrf}&client_id=nobody&user_code=BCDFGHJK` : '',
        });
        asked[`${endpoint.method} ${endpoint.path}`] = heard.status;
        const where = `${endpoint.path}: ${heard.head.split('\r\n')[0]} ${heard.body.slice(0, 300)}`;
        expect(heard.status === 503 || heard.status < 500, where).toBe(true);
        expect(heard.body, where).not.toMatch(stack);
        expect(heard.body, where).not.toContain('secret-host');
        if (heard.status === 503 && endpoint.kind === 'oauth')
          expect(heard.body, where).toContain('temporarily_unavailable');
      });
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
    // What is answered from memory, and what is refused before anybody is asked.
    const answered = Object.entries(asked).filter(([, status]) => status !== 503);
    expect(Object.fromEntries(answered)).toEqual({
      ...Object.fromEntries(documents.map(({ method, path }) => [`${method} ${path}`, 200])),
      'GET /auth/assets/x.js': 404,
      'GET /auth/signed-out': 200,
      [`GET ${oauthBase}/userinfo`]: 401,
      [`POST ${oauthBase}/userinfo`]: 401,
      [`GET ${oauthBase}/authorize/${id}`]: 400,
      [`GET /auth/device/${id}`]: 400,
      [`GET /auth/interaction/${id}`]: 404,
      'GET /auth/federation/x/start': 404,
      'GET /auth/federation/x/callback': 404,
      'POST /auth/passkeys/sign-in': 400,
      'POST /auth/passkeys/register': 400,
      [`POST /auth/passkeys/${id}/name`]: 400,
    });
  });
});
