import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGuard } from '../../../../src/entry/api/guard.ts';
import { acceptForms, CsrfTokens, csrfInput, fieldOf } from '../../../../src/entry/api/pages/forms.ts';
import { formActionSource, page, renderPage } from '../../../../src/entry/api/pages/layout.ts';
import { toAnswer } from '../../../../src/entry/api/problem.ts';
import { cookiesFor } from '../../../../src/lib/app/people/cookies.ts';
import { html } from '../../../../src/lib/infra/http/html.ts';

const csrf = new CsrfTokens(cookiesFor('http://localhost:8080', 60).browser);
let app: FastifyInstance;

beforeAll(async () => {
  app = fastify();
  app.setErrorHandler((thrown, _request, reply) => {
    const { error, status } = toAnswer(thrown);
    return reply.code(status).send(error.message);
  });
  acceptForms(app);
  const sessionOf = (headers: Record<string, unknown>) => headers['x-session'] as string | undefined;
  app.get('/', async (request, reply) =>
    page(reply, { title: 'T', body: html`${csrfInput(csrf.issue(request, reply, sessionOf(request.headers)))}` }),
  );
  app.post('/', async (request, reply) => {
    csrf.check(request, sessionOf(request.headers));
    return reply
      .code(303)
      .header('location', `/${fieldOf(request, 'name') ?? ''}`)
      .send();
  });
});
afterAll(() => app.close());

async function open(session?: string) {
  const answer = await app.inject({ url: '/', headers: session === undefined ? {} : { 'x-session': session } });
  const cookie = String(answer.headers['set-cookie']).split(';')[0] ?? '';
  const token = /name="csrf" value="([^"]+)"/.exec(answer.body)?.[1] ?? '';
  return { answer, cookie, token };
}

const post = (body: string, headers: Record<string, string>) =>
  app.inject({
    method: 'POST',
    url: '/',
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  });

describe('auth 10: a page', () => {
  it('is kept by nobody, framed by nobody, tells nobody where it was, and loads from us alone', async () => {
    const { answer } = await open();
    expect(answer.headers).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'content-security-policy':
        "default-src 'none'; style-src 'self'; script-src 'none'; img-src 'self' data:; connect-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    });
    expect(answer.body).not.toMatch(/style=|<style|<script>|\son[a-z]+=|https?:\/\//);
  });

  it('allows scripts of ours only where it has one, and forms to end up where it says', () => {
    const policy = renderPage({ title: 'T', body: html``, scripts: ['passkey.js'], formAction: ['https://c.example'] })
      .headers['content-security-policy'];
    expect(policy).toContain("script-src 'self'; ");
    expect(policy).toContain("connect-src 'self'; ");
    expect(policy).toContain("form-action 'self' https://c.example; ");
  });

  it.each([
    ['https://app.example/cb?x=1', 'https://app.example'],
    ['http://127.0.0.1:5123/cb', 'http://127.0.0.1:5123'],
    ['http://[::1]:5123/cb', 'http:'],
    ['com.example.app:/cb', 'com.example.app:'],
    ['cursor://anysphere.cursor-mcp/oauth', 'cursor:'],
  ])('leads to %s by %s', (uri, source) => {
    expect(formActionSource(uri)).toBe(source);
  });
});

describe('auth 10: a form', () => {
  it('is taken with the token of its page, and answered with 303', async () => {
    const { cookie, token } = await open('s1');
    const answer = await post(`csrf=${token}&name=ann`, { cookie, 'x-session': 's1' });
    expect([answer.statusCode, answer.headers['location']]).toEqual([303, '/ann']);
  });

  it('is refused without token or cookie, with those of another browser, another session, or from another site', async () => {
    const [mine, other] = [await open('s1'), await open('s1')];
    const session = { 'x-session': 's1' };
    const refused = await Promise.all([
      post('', { cookie: mine.cookie, ...session }),
      post(`csrf=${mine.token}`, session),
      post(`csrf=${other.token}`, { cookie: mine.cookie, ...session }),
      post(`csrf=${mine.token}`, { cookie: mine.cookie, 'x-session': 's2' }),
      post(`csrf=${mine.token}`, { cookie: mine.cookie }),
      post(`csrf=${mine.token}`, { cookie: `${mine.cookie}; ${other.cookie}`, ...session }),
      post(`csrf=${mine.token}`, { cookie: mine.cookie, 'sec-fetch-site': 'same-site', ...session }),
      post(`csrf=${mine.token}`, { cookie: mine.cookie, 'sec-fetch-site': 'cross-site', ...session }),
    ]);
    expect(refused.map(({ statusCode }) => statusCode)).toEqual(refused.map(() => 403));
  });

  it('with a field twice, too large, or of another kind is refused without a fault', async () => {
    const { cookie, token } = await open();
    expect((await post(`csrf=${token}&name=a&name=b`, { cookie })).statusCode).toBe(400);
    expect((await post(`csrf=${token}&name=${'a'.repeat(20_000)}`, { cookie })).statusCode).toBe(413);
    expect((await post(`csrf=${token}`, { cookie, 'content-type': 'text/xml' })).statusCode).toBe(415);
  });
});

describe('the guard', () => {
  const guard = createGuard(['http://localhost:8080']);
  const ask = (...headers: string[]) =>
    guard({ rawHeaders: ['Host', 'localhost:8080', ...headers], localPort: 8080, encrypted: false })?.status;

  it('takes a page without an origin to name for ours only if the browser says so', () => {
    expect(ask('Origin', 'null', 'Sec-Fetch-Site', 'same-origin')).toBeUndefined();
    expect(ask('Origin', 'null')).toBe(403);
    expect(ask('Origin', 'null', 'Sec-Fetch-Site', 'cross-site')).toBe(403);
    expect(ask('Origin', 'null', 'Sec-Fetch-Site', 'same-origin', 'Sec-Fetch-Site', 'cross-site')).toBe(403);
    expect(ask('Origin', 'https://evil.example', 'Sec-Fetch-Site', 'same-origin')).toBe(403);
  });
});
