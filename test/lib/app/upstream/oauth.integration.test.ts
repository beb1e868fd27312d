import { randomUUID } from 'node:crypto';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { McpHandler } from '../../../../src/entry/api/dependencies.ts';
import { readCredentials } from '../../../../src/lib/app/bridge/credentials.ts';
import { protectedResource } from '../../../../src/lib/app/resources.ts';
import { UpstreamCredentials } from '../../../../src/lib/app/upstream/credentials.ts';
import { authenticate, challengeFor } from '../../../../src/lib/domain/auth/index.ts';
import {
  claimRenewal,
  findGrant,
  mcpServersSchema,
  putGrant,
  refuseGrant,
  renewGrant,
  toServerConfig,
} from '../../../../src/lib/domain/mcp/index.ts';
import { toAppError } from '../../../../src/lib/shared/errors.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { bridgeRig } from '../../../helpers/bridge-rig.ts';
import type { CookieBrowser } from '../../../helpers/cookie-browser.ts';
import { type OAuthElsewhere, oauthElsewhere } from '../../../helpers/elsewhere-oauth.ts';
import { type OAuthRig, openOAuthRig } from '../../../helpers/oauth-rig.ts';
import { until } from '../../../helpers/until.ts';

// Signing in at servers elsewhere, by nothing but the pages. `self` is a server of this very instance, seen as one elsewhere:
// its authorization server is our own. `odd` is one that can be made to do what it should not.

let odd: OAuthElsewhere;
let rig: OAuthRig;
let ada: { id: UserId; browser: CookieBrowser };
let bob: { id: UserId; browser: CookieBrowser };
let source: UpstreamCredentials;
let other: UpstreamCredentials;
let openings: () => Parameters<typeof UpstreamCredentials.open>[0];

const oauth = { scopes: ['user'] };
const fleet = (url: string) => ({
  alpha: {
    module: 'm',
    port: 5001,
    description: 'd',
    oauth: { scopes: ['user', { name: 'alpha:read', description: 'Read', open: true }] },
  },
  self: {
    type: 'external',
    endpoint: `${url}/api/v1/mcp/alpha/mcp`,
    description: 'd',
    oauth,
    private_network: true,
    upstream_auth: { type: 'oauth', per: 'user' },
  },
  odd: {
    type: 'external',
    endpoint: odd.endpoint,
    description: 'd',
    oauth,
    private_network: true,
    upstream_auth: { type: 'oauth', per: 'user' },
  },
  ours: {
    type: 'external',
    endpoint: odd.endpoint,
    description: 'd',
    oauth,
    private_network: true,
    upstream_auth: {
      type: 'oauth',
      per: 'shared',
      client_id: 'us: all',
      client_secret: '${secret:odd.client}',
      issuer: odd.origin,
    },
  },
});

beforeAll(async () => {
  odd = await oauthElsewhere();
  rig = await openOAuthRig({
    people: true,
    servers: fleet,
    api: () => ({ mcp: { handle: (...exchange) => serve(...exchange) } }),
  });
  const person = async (name: string) => {
    const id = await rig.user(name);
    return { id, browser: await rig.browser(id) };
  };
  [ada, bob] = [await person('ada'), await person('bob')];
  await rig.secrets.set('odd.client', 'hush & hush');
  const place = { file: 'f', line: 1, column: 1 };
  const servers = Object.entries(mcpServersSchema.parse(fleet(rig.url))).map(([name, yaml]) =>
    toServerConfig(name, yaml, place, () => place),
  );
  openings = () => ({ servers, database: rig.database, secrets: rig.secrets, externalUrl: rig.url });
  const open = () => UpstreamCredentials.open(openings());
  [source, other] = [await open(), await open()];
});
afterAll(async () => {
  await source?.close();
  await other?.close();
  await rig?.close();
  await odd?.[Symbol.asyncDispose]();
});
afterEach(() => {
  for (const name of Object.keys(odd.otherwise)) delete odd.otherwise[name as 'answer'];
  odd.asked.length = 0;
});

const mcp = toNodeHandler(
  createMcpHandler(() => {
    const server = new McpServer({ name: 'alpha', version: '1.0.0' });
    server.registerTool('hello', {}, async () => ({ content: [{ type: 'text', text: 'hello' }] }));
    return server;
  }),
);
const serve: McpHandler['handle'] = async (request, response, name) => {
  const resource = rig.authorization.resources.byName(name);
  if (resource === undefined) throw new Error('There is no such server');
  try {
    await authenticate(rig.identity.verifier, request, resource.audience);
  } catch (error) {
    const challenge = challengeFor(toAppError(error), protectedResource(resource));
    if (challenge === undefined) throw error;
    response.writeHead(challenge.status, { 'www-authenticate': challenge.header }).end();
    return;
  }
  await mcp(request as never, response);
};

const pressed = { headers: { 'sec-fetch-site': 'same-origin' } };
/** Where the browser is sent that presses the button. */
const start = async (who: { browser: CookieBrowser }, server: string) => {
  const answer = await who.browser.ask(`/auth/servers/${server}/start`, pressed);
  return answer.headers.location ?? answer.text;
};
/** There and back. @returns where the browser ends */
const signIn = async (who: { browser: CookieBrowser }, server = 'odd') => {
  const back = await odd.visit(await start(who, server));
  return await who.browser.ask(back);
};
const header = async (from: UpstreamCredentials, server: string, user: UserId | undefined) =>
  readCredentials(await from.headerFor(server, user));
const connected = '/auth/account?added=signed-in#servers';

describe('a user', () => {
  it('signs in at a server of an instance of ours, and calls it with the token; nobody else does', async () => {
    await expect(source.headerFor('self', ada.id)).rejects.toMatchObject({
      code: 'FORBIDDEN',
      data: { reason: 'credentials_missing', url: `${rig.url}/auth/account#servers` },
    });
    const there = await ada.browser.follow('/auth/servers/self/start', pressed);
    const end = await rig.answer(ada.browser, there);
    expect(end.text).toContain('You are signed in at the server');
    const credentials = await header(source, 'self', ada.id);
    const endpoint = `${rig.url}/api/v1/mcp/alpha/mcp`;
    const external = { endpoint, transport: 'auto' as const, privateNetwork: true, auth: { type: 'none' } };
    await using bridge = await bridgeRig({ external });
    expect(await bridge.call('hello', {}, { upstream: credentials ?? {} })).toMatchObject({
      result: { content: [{ text: 'hello' }] },
    });
    await expect(source.headerFor('self', bob.id)).rejects.toMatchObject({ data: { reason: 'credentials_missing' } });
    // Sealed at rest, and in no answer of ours.
    const token = credentials?.headers['authorization']?.slice('Bearer '.length) ?? '';
    const rows = JSON.stringify(await rig.owner.query('SELECT * FROM mcp.upstream_grants'));
    expect(rows.includes(token) || rig.api.log().includes(token)).toBe(false);
  });

  it('is told where a token has been refused, and signs in anew', async () => {
    const endpoint = `${rig.url}/api/v1/mcp/alpha/mcp`;
    const external = { endpoint, transport: 'auto' as const, privateNetwork: true, auth: { type: 'none' } };
    await using bridge = await bridgeRig({ external });
    const upstream = { headers: { authorization: 'Bearer not-theirs' }, key: 'x' };
    const answer = await bridge.send({ id: 1, method: 'tools/list' }, { upstream });
    expect(answer.headers.get('x-systemprompt-upstream-refused')).toBe('401');
    expect(await answer.json()).toMatchObject({ error: { data: { reason: 'upstream_unauthorized' } } });
  });
});

/** What a page says that is none of success. */
const saysNo = (answer: { status: number; text: string }) => [
  answer.status >= 400,
  /<h1>(.*?)<\/h1>/s.exec(answer.text)?.[1],
];
const tokenRequests = () => odd.asked.filter(({ path }) => path === '/token');

describe('a server elsewhere and its authorization server', () => {
  it('is asked by PKCE and for its resource alone; one client of ours is registered, and all users are that', async () => {
    const there = new URL(await start(ada, 'odd'));
    expect(Object.fromEntries(there.searchParams)).toMatchObject({
      response_type: 'code',
      code_challenge_method: 'S256',
      resource: odd.endpoint,
      scope: 'read',
      redirect_uri: `${rig.url}/auth/servers/odd/callback`,
    });
    expect((await ada.browser.ask(await odd.visit(there.href))).headers.location).toBe(connected);
    expect((await signIn(bob)).headers.location).toBe(connected);
    expect(odd.asked.filter(({ path }) => path === '/register')).toHaveLength(1);
    for (const { form, authorization } of tokenRequests()) {
      expect([form.get('resource'), authorization?.startsWith('Basic ')]).toEqual([odd.endpoint, true]);
    }
    const [hers, his] = [await header(source, 'odd', ada.id), await header(source, 'odd', bob.id)];
    expect(hers?.headers['authorization']).not.toBe(his?.headers['authorization']);
    expect(hers?.key).not.toBe(his?.key);
  });

  it.each<[string, Record<string, string>]>([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['of one that is alike', { iss: 'http://127.0.0.1/' }],
    ['without the issuer that it promised', { iss: '' }],
    ['with another state', { state: 'x'.repeat(43) }],
    ['without a state', { state: '' }],
  ])('gets no code for an answer %s', async (_, answer) => {
    odd.otherwise.answer = answer;
    const end = await signIn(ada);
    expect(saysNo(end)[0]).toBe(true);
    expect(tokenRequests()).toEqual([]);
  });

  it('has an answer taken once, in the browser and by the user that began', async () => {
    const back = await odd.visit(await start(ada, 'odd'));
    expect(saysNo(await bob.browser.ask(back))[0]).toBe(true);
    // Another user at the same browser: the way is theirs no more.
    const hers = new Map(ada.browser.cookies);
    for (const [name, kept] of bob.browser.cookies) if (name.includes('session')) ada.browser.cookies.set(name, kept);
    expect(saysNo(await ada.browser.ask(back))[0]).toBe(true);
    for (const [name, kept] of hers) ada.browser.cookies.set(name, kept);
    expect(saysNo(await ada.browser.ask(back))[0]).toBe(true);
    expect(tokenRequests()).toEqual([]);
    const again = await odd.visit(await start(ada, 'odd'));
    expect((await ada.browser.ask(again)).headers.location).toBe(connected);
    expect(saysNo(await ada.browser.ask(again))[0]).toBe(true);
    expect(tokenRequests()).toHaveLength(1);
  });

  it('has its answer taken at its own way back alone', async () => {
    const back = (await odd.visit(await start(ada, 'odd'))).replace('/servers/odd/', '/servers/self/');
    expect(saysNo(await ada.browser.ask(back))[0]).toBe(true);
    expect(tokenRequests()).toEqual([]);
  });

  it('is begun by a press on a page of ours, and by no other site', async () => {
    const answer = await ada.browser.ask('/auth/servers/odd/start', { headers: { 'sec-fetch-site': 'cross-site' } });
    expect([answer.status, answer.headers.location]).toEqual([303, '/auth/account#servers']);
  });

  it.each<[string, object, object]>([
    ['another resource', {}, { resource: 'https://other.example/mcp' }],
    ['another issuer', { issuer: 'https://evil.example' }, {}],
    ['no PKCE', { code_challenge_methods_supported: undefined }, {}],
    ['an address that is no page', { authorization_endpoint: 'javascript:alert(1)' }, {}],
    ['a token endpoint that is a file', { token_endpoint: 'file:///etc/passwd' }, {}],
  ])('nobody is sent to whose metadata have %s', async (_, metadata, resource) => {
    Object.assign(odd.otherwise, { metadata, resource });
    const answer = await ada.browser.ask('/auth/servers/odd/start', pressed);
    expect([answer.headers.location, answer.status >= 400]).toEqual([undefined, true]);
  });
});

describe('auth 46: what a server elsewhere names', () => {
  const places = (over: object) => ({ 'https://mcp.example/mcp': {}, ...over }) as Record<string, object>;
  /** A public server whose documents say so; whatever else is asked goes by the guard itself. */
  const asking = async (documents: Record<string, object>) => {
    const { discover } = await import('../../../../src/lib/app/upstream/oauth/discovery.ts');
    const { upstreamHttp } = await import('../../../../src/lib/app/upstream/oauth/http.ts');
    const { createGuardedFetch } = await import('../../../../src/lib/infra/http/guarded-fetch.ts');
    const guarded = createGuardedFetch();
    const http = upstreamHttp(async (url, bounds) => {
      if (documents[url] === undefined && /^https:.*[.]example$/.test(new URL(url).origin)) {
        return { status: 404, headers: new Headers(), body: Buffer.from('') };
      }
      if (documents[url] === undefined) return await guarded(url, bounds);
      return { status: 200, headers: new Headers(), body: Buffer.from(JSON.stringify(documents[url])) };
    }, false);
    return await discover(http, { endpoint: 'https://mcp.example/mcp' });
  };
  const resource = 'https://mcp.example/.well-known/oauth-protected-resource';
  const named = (issuer: string) =>
    places({ [resource]: { resource: 'https://mcp.example/mcp', authorization_servers: [issuer] } });

  it.each(['http://as.example', 'https://127.0.0.1:8443', 'https://169.254.169.254/latest', 'https://localhost:8443'])(
    'is not asked at %s',
    async (issuer) => {
      const before = odd.asked.length;
      await expect(asking(named(issuer))).rejects.toMatchObject({ data: { reason: 'address_refused' } });
      expect(odd.asked).toHaveLength(before);
    },
  );

  it.each(['http://as.example/authorize', 'javascript:alert(1)', 'file:///bin/sh', 'https://u:p@as.example/'])(
    'is no place to send a browser to at %s',
    async (authorization_endpoint) => {
      const as = { issuer: 'https://as.example', token_endpoint: 'https://as.example/token', authorization_endpoint };
      const documents = {
        ...named('https://as.example'),
        'https://as.example/.well-known/oauth-authorization-server': as,
      };
      await expect(asking(documents)).rejects.toMatchObject({ data: { reason: 'address_refused' } });
    },
  );
});

describe('a token', () => {
  const age = (seconds: number) =>
    rig.owner.query(
      `UPDATE mcp.upstream_grants SET issued_at = now() - interval '1 hour', expires_at = now() + make_interval(secs => $2)
       WHERE user_id = $1 AND server = 'odd'`,
      [ada.id, seconds],
    );
  const good = async (from = source) => {
    const token = (await header(from, 'odd', ada.id))?.headers['authorization']?.slice('Bearer '.length) ?? '';
    return odd.good.has(token) ? token : undefined;
  };

  it('is renewed once, by one of all processes, and keeps its sessions', async () => {
    expect((await signIn(ada)).headers.location).toBe(connected);
    const before = await header(source, 'odd', ada.id);
    await age(-5);
    await until('both know', async () => (await good(other)) !== before?.headers['authorization']);
    odd.asked.length = 0;
    await age(-5);
    const fresh = async () => {
      const found = await Promise.all([good(source), good(other), good(source), good(other)]);
      return new Set(found).size === 1 && tokenRequests().length > 0 ? found[0] : undefined;
    };
    await until('it is another one', async () => (await fresh()) !== undefined);
    expect(tokenRequests().map(({ form }) => [form.get('grant_type'), form.get('resource')])).toEqual([
      ['refresh_token', odd.endpoint],
    ]);
    expect((await header(other, 'odd', ada.id))?.key).toBe(before?.key);
  });

  it('whose refresh token has been used by somebody else is worth nothing: its user signs in again', async () => {
    odd.otherwise.token = () => ({ status: 400, body: { error: 'invalid_grant', error_description: 'rt-secret' } });
    await age(-5);
    await until('it is refused', async () =>
      good().then(
        () => false,
        (error) => error.data.credentials[0] === 'sign_in_again' && !JSON.stringify(error).includes('rt-secret'),
      ),
    );
    const page = await ada.browser.ask('/auth/account');
    expect(page.text).toContain('The sign-in is taken no more.');
    delete odd.otherwise.token;
    expect((await signIn(ada)).headers.location).toBe(connected);
    await until('it is used', async () =>
      good().then(
        (token) => token !== undefined,
        () => false,
      ),
    );
  });

  it('that is not renewed for now is used to its end, and not beyond', async () => {
    odd.otherwise.token = () => ({ status: 503, body: {} });
    await age(20);
    await until('it was tried', async () => (await good()) !== undefined && tokenRequests().length > 0);
    await age(-5);
    await until('it is at its end', async () =>
      good().then(
        () => false,
        (error) => error.code === 'UPSTREAM_FAILED',
      ),
    );
  });

  it('that the server does not take is renewed before the next call; scopes that it wants are asked for the next time', async () => {
    expect((await signIn(ada)).headers.location).toBe(connected);
    await until('it is used', async () =>
      good().then(
        (token) => token !== undefined,
        () => false,
      ),
    );
    const before = await good();
    const sent = await source.headerFor('odd', ada.id);
    source.refused('odd', ada.id, '403 write', sent);
    source.refused('odd', ada.id, '401', sent);
    await until('there is another one', async () => (await good()) !== before);
    await until('it is on record', async () => (await ada.browser.ask('/auth/account')).text.includes('It wants more'));
    expect(new URL(await start(ada, 'odd')).searchParams.get('scope')).toBe('read write');
  });

  it('that was renewed since is not ended by a late refusal of the one before it', async () => {
    expect((await signIn(ada)).headers.location).toBe(connected);
    await until('it is used', async () => (await good().catch(() => undefined)) !== undefined);
    const sent = await source.headerFor('odd', ada.id);
    source.refused('odd', ada.id, '401', sent);
    await until('there is another one', async () => (await source.headerFor('odd', ada.id)) !== sent);
    // Of a call that began with the first: it says nothing of the second.
    source.refused('odd', ada.id, '401', sent);
    const rows = await rig.owner.query(`SELECT state FROM mcp.upstream_grants WHERE user_id = $1 AND server = 'odd'`, [
      ada.id,
    ]);
    expect(rows).toEqual([{ state: 'good' }]);
    expect(await good()).toBeDefined();
  });

  it('that is good for no time at all is not renewed without end', async () => {
    odd.good.set('at-short', 'read');
    const body = { access_token: 'at-short', refresh_token: 'rt-short', token_type: 'Bearer', expires_in: 0 };
    odd.otherwise.token = () => ({ status: 200, body });
    await age(-5);
    await until('it is there', async () => (await good()) === 'at-short');
    expect(tokenRequests()).toHaveLength(1);
    delete odd.otherwise.token;
    expect((await signIn(ada)).headers.location).toBe(connected);
    await until('it is used', async () => ![undefined, 'at-short'].includes(await good().catch(() => undefined)));
  });

  it('that is being renewed is not lost by a refusal of the one before it', async () => {
    const grant = await findGrant(rig.database, { server: 'odd', userId: ada.id });
    if (grant === undefined) throw new Error('There is no sign-in');
    expect(await claimRenewal(rig.database, grant, 90)).toBe(true);
    await refuseGrant(rig.database, grant);
    const { sealed, scopes } = grant;
    expect(await renewGrant(rig.database, grant, { sealed, scopes, refreshable: true, seconds: 3600 })).toBe(true);
    expect(await good()).toBeDefined();
  });

  it('is not sent to the address, nor taken from the issuer, that a server got since its user signed in', async () => {
    const with_ = (over: object) => ({
      ...openings(),
      servers: openings().servers.map((one) =>
        one.name === 'odd' && one.external !== undefined ? { ...one, external: { ...one.external, ...over } } : one,
      ),
    });
    const auth = { type: 'oauth', per: 'user', scopes: [], issuer: 'https://other.example' } as const;
    for (const over of [{ endpoint: 'https://other.example/mcp' }, { auth }]) {
      const moved = await UpstreamCredentials.open(with_(over));
      await expect(moved.headerFor('odd', ada.id)).rejects.toMatchObject({ data: { credentials: ['sign_in_again'] } });
      await moved.close();
    }
    expect(await good()).toBeDefined();
  });

  it('of another user, server, issuer or resource opens nothing', async () => {
    await rig.owner.query('UPDATE mcp.upstream_grants SET resource = $2 WHERE user_id = $1', [bob.id, odd.origin]);
    const fresh = await UpstreamCredentials.open(openings());
    await expect(fresh.headerFor('odd', bob.id)).rejects.toThrow('was not sealed for');
    await fresh.close();
  });

  it('of the instance itself is had by its secret, and nobody signs in', async () => {
    const token = (await header(source, 'ours', undefined))?.headers['authorization'] ?? '';
    expect(odd.good.has(token.slice('Bearer '.length))).toBe(true);
    expect((await header(source, 'ours', bob.id))?.headers['authorization']).toBe(token);
    const [sent, ...more] = tokenRequests();
    expect([sent?.form.get('grant_type'), sent?.form.get('resource'), more.length]).toEqual([
      'client_credentials',
      odd.endpoint,
      0,
    ]);
    const basic = Buffer.from(sent?.authorization?.slice('Basic '.length) ?? '', 'base64').toString();
    expect(basic.replaceAll('+', ' ').split(':').map(decodeURIComponent)).toEqual(['us: all', 'hush & hush']);
    const answer = await ada.browser.ask('/auth/servers/ours/start', pressed);
    expect(answer.status).toBeGreaterThanOrEqual(400);
  });

  it('that comes of a renewal when its user has disconnected is revoked as well', async () => {
    expect((await signIn(bob)).headers.location).toBe(connected);
    await rig.owner.query(
      `UPDATE mcp.upstream_grants SET expires_at = now() - interval '1 second' WHERE user_id = $1 AND server = 'odd'`,
      [bob.id],
    );
    odd.otherwise.before = async () => {
      await rig.owner.query(`DELETE FROM mcp.upstream_grants WHERE user_id = $1 AND server = 'odd'`, [bob.id]);
    };
    odd.asked.length = 0;
    const fresh = await UpstreamCredentials.open(openings());
    await expect(fresh.headerFor('odd', bob.id)).rejects.toMatchObject({ data: { credentials: ['sign_in'] } });
    await fresh.close();
    expect(odd.asked.map(({ path }) => path)).toEqual(['/token', '/revoke']);
    expect(odd.asked[1]?.form.get('token')).not.toBe(odd.asked[0]?.form.get('refresh_token'));
  });

  it('of two answers that come at once is kept, and neither fails', async () => {
    const given = () => {
      const to = { server: 'odd', userId: bob.id, issuer: odd.origin, resource: odd.endpoint, clientId: 'c' };
      return { id: randomUUID(), ...to, scopes: [], sealed: 'x', refreshable: false, seconds: 60 };
    };
    const later = given();
    let second: Promise<void> | undefined;
    await rig.database.transaction(async (tx) => {
      await putGrant(tx, given());
      second = putGrant(rig.database, later);
      second.catch(() => undefined);
      await until('the second waits for the first', async () => {
        return (await rig.owner.query('SELECT FROM pg_locks WHERE NOT granted')).length > 0;
      });
    });
    await second;
    expect((await findGrant(rig.database, { server: 'odd', userId: bob.id }))?.id).toBe(later.id);
  });

  it('is revoked where it came from when its user disconnects, and used no more', async () => {
    const page = await ada.browser.ask('/auth/account');
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    const answer = await ada.browser.ask('/auth/account/servers/odd/disconnect', { form: { csrf } });
    expect(answer.headers.location).toBe('/auth/account?added=no-server');
    expect(odd.asked.map(({ path }) => path)).toEqual(['/revoke']);
    expect(odd.asked[0]?.form.get('token')).toMatch(/^rt-/);
    await until('it is gone', async () =>
      good().then(
        () => false,
        (error) => error.code === 'FORBIDDEN',
      ),
    );
  });
});
