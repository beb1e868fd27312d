import fastify, { type FastifyInstance, type InjectOptions } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accountRoutes } from '../../../../src/entry/api/routes/account.ts';
import { type InteractionPort, interactionRoutes } from '../../../../src/entry/api/routes/interaction.ts';
import type { BrowserSession } from '../../../../src/lib/app/people/browser-sessions.ts';
import { cookiesFor } from '../../../../src/lib/app/people/cookies.ts';
import { NotFoundError, UnauthenticatedError } from '../../../../src/lib/shared/errors.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';
import { CookieJar } from '../../../helpers/browser.ts';

const audience = 'http://localhost:8080/api/v1/mcp/support/mcp';
const client = 'https://app.example/cb?code=c';
const sessionId = '00000000-0000-4000-8000-000000000001' as SessionId;
const otherId = '00000000-0000-4000-8000-000000000002';

let app: FastifyInstance;
let jar: CookieJar;
/** Who is signed in at the browser. */
let session: BrowserSession | undefined;
let interaction: Awaited<ReturnType<InteractionPort['find']>>;
/** What the pages asked for, in order. */
let calls: unknown[];
/** What each address is counted with. */
const groups = new Map<string, string | undefined>();

beforeEach(async () => {
  jar = new CookieJar();
  calls = [];
  session = {
    userId: 'u' as UserId,
    userName: 'ann',
    displayName: 'Ann',
    sessionId,
    authTime: new Date(),
    methods: ['passkey'],
  };
  interaction = {
    uid: 'u1',
    prompt: 'consent',
    client: {
      id: 'app',
      name: 'App',
      host: undefined,
      kind: 'dynamic',
      redirectHost: 'app.example',
      loopbackOnly: false,
    },
    params: { redirectUri: 'https://app.example/cb' },
    freshSince: undefined,
    resources: [
      {
        resource: { displayName: 'Support', audience },
        asked: [
          { name: 'read', description: 'Read', sensitive: false },
          { name: 'delete', description: 'Delete', sensitive: true },
        ],
        refused: ['admin'],
      },
    ],
    oidcScopes: [],
    device: false,
  };
  const browser = {
    current: async () => session,
    end: async () => {
      calls.push('signed out');
      session = undefined;
      return undefined;
    },
    cookies: cookiesFor('http://localhost:8080', 60),
  };
  const interactions: InteractionPort = {
    find: async () => interaction,
    login: async (_request, _response, { methods }) => {
      calls.push(['login', methods]);
      return client;
    },
    consent: async (_request, _response, scopes) => {
      calls.push(['consent', [...scopes]]);
      return client;
    },
    deny: async () => {
      calls.push('deny');
      return 'https://app.example/cb?error=access_denied';
    },
  };
  const account = {
    overview: async () => ({
      user: { name: 'ann', displayName: 'Ann' },
      passkeys: [],
      federated: [],
      linkable: [{ id: 'corp', name: 'Corp' }],
      sessions: [
        { id: sessionId, client: 'Firefox', createdAt: new Date(), lastSeenAt: new Date(), current: true },
        { id: otherId, client: '<b>CLI</b>', createdAt: new Date(), lastSeenAt: new Date(), current: false },
      ],
      connected: [],
      tokens: [],
      servers: [
        {
          server: 'crm',
          displayName: 'The <i>CRM</i>',
          place: 'https://crm.example',
          wanted: [{ name: 'crm.key', since: new Date() }],
          connected: true,
        },
        {
          server: 'files',
          displayName: 'Files',
          place: undefined,
          wanted: [{ name: 'TOKEN' }, { name: 'REGION' }],
          connected: false,
        },
      ],
    }),
    connect: async (_session: BrowserSession, server: string, values: ReadonlyMap<string, string>) => {
      if (server === 'gone') throw new NotFoundError('There is no MCP server gone');
      calls.push(['connect', server, [...values]]);
    },
    disconnect: async (_session: BrowserSession, server: string) => void calls.push(['disconnect', server]),
    end: async (_session: BrowserSession, kind: string, id: string) => {
      if (kind === 'tokens') throw new NotFoundError('You have no such token');
      if (kind === 'passkeys') throw new UnauthenticatedError('x', { data: { reason: 'recent_authentication' } });
      calls.push([kind, id]);
    },
  };
  app = fastify();
  app.addHook('onRoute', ({ url, config }) => void groups.set(url, config?.rateGroup));
  await app.register(interactionRoutes({ browser, interactions }));
  await app.register(
    accountRoutes({
      browser,
      account,
      addressOf: () => '127.0.0.1',
      externalUrl: 'http://localhost',
      web: { otherAddresses: [] },
    }),
  );
});
afterEach(() => app.close());

async function send(options: InjectOptions) {
  const answer = await app.inject({
    ...options,
    headers: { ...jar.request.headers, accept: 'text/html', ...options.headers },
  });
  jar.keep([answer.headers['set-cookie'] ?? []].flat());
  return answer;
}

const tokenIn = (body: string): string => /name="csrf" value="([^"]+)"/.exec(body)?.[1] ?? '';

/** Opens a page and sends a form of it. */
async function submit(page: string, action: string, fields: Record<string, string>) {
  const csrf = tokenIn((await send({ url: page })).body);
  return post(action, { csrf, ...fields });
}

const post = (url: string, fields: Record<string, string> | string) =>
  send({
    method: 'POST',
    url,
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });

const here = '/auth/interaction/u1';
const where = (answer: { statusCode: number; headers: Record<string, unknown> }) => [
  answer.statusCode,
  answer.headers['location'],
];

describe('the way to a sign-in', () => {
  beforeEach(() => {
    interaction = { ...interaction, prompt: 'login' };
  });

  it('leads whoever is not signed in to the page for it and back', async () => {
    session = undefined;
    expect(where(await send({ url: here }))).toEqual([303, '/auth/sign-in?return_to=%2Fauth%2Finteraction%2Fu1']);
  });

  it('leads whoever signed in too long ago there too', async () => {
    interaction = { ...interaction, freshSince: new Date(Date.now() + 1000) };
    expect(where(await send({ url: here }))).toEqual([
      303,
      `/auth/sign-in?return_to=${encodeURIComponent(here)}&fresh=1`,
    ]);
    expect(calls).toEqual([]);
  });

  it('goes on for whoever is signed in: programs by 303, browsers by a page that ends the chain of redirects', async () => {
    expect(where(await send({ url: here }))).toEqual([303, client]);
    const page = await send({ url: here, headers: { 'sec-fetch-dest': 'document' } });
    expect(page.statusCode).toBe(200);
    expect(page.body).toContain(`<meta http-equiv="refresh" content="0;url=${client}">`);
    expect(calls).toEqual([
      ['login', ['passkey']],
      ['login', ['passkey']],
    ]);
  });
});

describe('auth 8: a consent', () => {
  it('gives what was ticked and was asked for, and nothing else', async () => {
    const csrf = tokenIn((await send({ url: here })).body);
    const body = `csrf=${csrf}&decision=allow&scope.0=read&scope.0=admin&scope.0=write&scope.1=delete`;
    const answer = await send({
      method: 'POST',
      url: here,
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect(where(answer)).toEqual([303, client]);
    expect(calls).toEqual([['consent', [[audience, ['read']]]]]);
  });

  it('is refused by a button too, and by neither button nothing happens', async () => {
    expect(where(await submit(here, here, { decision: 'deny' }))).toEqual([
      303,
      'https://app.example/cb?error=access_denied',
    ]);
    expect(calls).toEqual(['deny']);
    expect((await submit(here, here, {})).statusCode).toBe(400);
    expect(calls).toEqual(['deny']);
  });

  it('for another request than the page was opened for is not given', async () => {
    const csrf = tokenIn((await send({ url: here })).body);
    interaction = { ...interaction, uid: 'u2' };
    expect((await post(here, { csrf, decision: 'allow' })).statusCode).toBe(404);
    interaction = { ...interaction, uid: 'u1', prompt: 'login' };
    expect((await post(here, { csrf, decision: 'allow' })).statusCode).toBe(400);
    expect(calls).toEqual([]);
  });
});

describe('auth 10: consent and account', () => {
  const servers = ['/auth/account/servers/crm/connect', '/auth/account/servers/crm/disconnect'];
  const forms = [here, `/auth/account/sessions/${otherId}/end`, '/auth/sign-out', ...servers];

  it.each(forms)('%s takes no form without its token, nor one of another sign-in', async (action) => {
    const csrf = tokenIn((await send({ url: '/auth/account' })).body);
    expect((await post(action, { decision: 'allow' })).statusCode).toBe(403);
    session = session && { ...session, sessionId: otherId as SessionId };
    expect((await post(action, { decision: 'allow', csrf })).statusCode).toBe(403);
    session = undefined;
    expect(where(await post(action, { decision: 'allow', csrf }))[0]).toBe(303);
    expect(calls).toEqual([]);
  });

  it.each([here, '/auth/account', '/auth/signed-out', '/auth/account/x/y/end'])(
    '%s is kept and framed by nobody',
    async (url) => {
      const { headers } = await send({ url });
      if (headers['content-type']?.toString().startsWith('application/json')) return; // an address without a page
      expect(headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    },
  );
});

describe('the account', () => {
  it('leads whoever is not signed in to the page for it and back', async () => {
    session = undefined;
    expect(where(await send({ url: '/auth/account' }))).toEqual([303, '/auth/sign-in?return_to=%2Fauth%2Faccount']);
  });

  it('is where a browser gets by the address that a start prints; programs hear that nothing is there', async () => {
    const accept = 'text/html,application/xhtml+xml';
    for (const url of ['/', '/auth']) {
      expect(where(await send({ url, headers: { accept } }))).toEqual([303, '/auth/account']);
      expect((await send({ url, headers: { accept: '*/*' } })).statusCode).toBe(404);
    }
  });

  it('asks whoever opens the address of signing out, and signs nobody out by it', async () => {
    const { statusCode, body } = await send({ url: '/auth/sign-out' });
    expect([statusCode, calls]).toEqual([200, []]);
    expect(body).toContain('<form method="post" action="/auth/sign-out"');
    session = undefined;
    expect(where(await send({ url: '/auth/sign-out' }))).toEqual([303, '/auth/signed-out']);
  });

  it('ends what it lists, says so, and signs out where it ends its own sign-in', async () => {
    expect(where(await submit('/auth/account', `/auth/account/sessions/${otherId}/end`, {}))).toEqual([
      303,
      '/auth/account?done=sessions',
    ]);
    expect((await send({ url: '/auth/account?done=sessions' })).body).toContain('The sign-in is over.');
    expect((await send({ url: '/auth/account?done=constructor' })).body).not.toContain('role="status"');
    expect(where(await submit('/auth/account', `/auth/account/sessions/${sessionId}/end`, {}))).toEqual([
      303,
      '/auth/signed-out',
    ]);
    expect(calls).toEqual([['sessions', otherId], 'signed out']);
  });

  it('auth 51: asks for a recent sign-in where that is needed', async () => {
    expect(where(await submit('/auth/account', `/auth/account/passkeys/${otherId}/end`, {}))).toEqual([
      303,
      '/auth/sign-in?return_to=%2Fauth%2Faccount&fresh=1',
    ]);
  });

  it('takes what a server wants, of several things those that were filled in, and erases it', async () => {
    const { body } = await send({ url: '/auth/account' });
    expect(body).toMatch(/<input id="server-crm-crm.key" name="value.crm.key" type="password"[^>]* required>/);
    expect(body).toContain('https://crm.example');
    const connect = '/auth/account/servers/files/connect';
    const filled = { 'value.TOKEN': ' k ', 'value.REGION': '', other: 'x' };
    expect(where(await submit('/auth/account', connect, filled))).toEqual([303, '/auth/account?added=server']);
    expect((await submit('/auth/account', connect, { 'value.TOKEN': '' })).statusCode).toBe(400);
    expect((await submit('/auth/account', '/auth/account/servers/gone/connect', filled)).statusCode).toBe(404);
    expect(where(await submit('/auth/account', '/auth/account/servers/crm/disconnect', {}))).toEqual([
      303,
      '/auth/account?added=no-server',
    ]);
    expect((await send({ url: '/auth/account?added=no-server' })).body).toContain('It is erased');
    expect(calls).toEqual([
      ['connect', 'files', [['TOKEN', 'k']]],
      ['disconnect', 'crm'],
    ]);
  });

  it('says by a page what is not there, by a problem document to whoever asks for one', async () => {
    const page = await submit('/auth/account', `/auth/account/tokens/${otherId}/end`, {});
    expect([page.statusCode, page.headers['content-type']]).toEqual([404, 'text/html; charset=utf-8']);
    expect(page.body).toContain('You have no such token.');
    for (const path of [`toString/${otherId}`, 'sessions/1', 'sessions/%27%3B--']) {
      expect((await submit('/auth/account', `/auth/account/${path}/end`, {})).statusCode).toBe(404);
    }
    expect(calls).toEqual([]);
  });

  it('auth 11: escapes what programs call themselves', async () => {
    const { body } = await send({ url: '/auth/account' });
    expect(body).toContain('&lt;b&gt;CLI&lt;/b&gt;');
    expect(body).not.toContain('<b>CLI');
  });
});

it('auth 52: every page is counted with the rest of the authorization server', () => {
  expect(groups.size).toBeGreaterThan(4);
  for (const [url, group] of groups) expect(group, url).toBe('oauth_auth');
});
