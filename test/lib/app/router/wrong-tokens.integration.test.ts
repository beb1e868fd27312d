import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { McpServerConfig } from '../../../../src/lib/domain/mcp/index.ts';
import { externalUrl } from '../../../helpers/identity.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

// Each way in which a token can be wrong, on each kind of server and each of its addresses: the right refusal with the right
// challenge, and not one byte at the server.

const kinds: Readonly<Record<string, Partial<McpServerConfig>>> = {
  internal: {},
  python: { command: { program: 'python3', args: ['server.py'] } },
  stdio: { kind: 'stdio', module: '', command: { program: 'npx', args: ['-y', 'x'] } },
  external: {
    kind: 'external',
    module: '',
    external: {
      endpoint: 'https://mcp.example/mcp',
      transport: 'auto',
      privateNetwork: false,
      auth: { type: 'none' } as never,
    },
  },
};
let test: TestGateway;

beforeAll(async () => {
  const servers = Object.entries(kinds).map(([name, more]) => serverConfig({ ...more, name }));
  test = await openTestGateway({ servers: [...servers, serverConfig({ name: 'other' })] });
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}';

interface Wrong {
  readonly headers: (server: string) => Promise<Record<string, string | string[]>>;
  readonly status: number;
  readonly challenge: RegExp;
  readonly query?: string;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const changed = (token: string, part: number, change: (text: string) => string) => {
  const parts = token.split('.');
  parts[part] = change(parts[part] ?? '');
  return parts.join('.');
};
const asJson = (text: string, change: object) =>
  Buffer.from(
    JSON.stringify({ ...(JSON.parse(Buffer.from(text, 'base64url').toString()) as object), ...change }),
  ).toString('base64url');
const invalid = /^Bearer error="invalid_token", error_description="[^"]+", resource_metadata="/;

const wrong: Readonly<Record<string, Wrong>> = {
  'no token': {
    headers: async () => ({ authorization: '' }),
    status: 401,
    challenge: /^Bearer resource_metadata="[^"]+", scope="user"$/,
  },
  'another scheme': {
    headers: async () => ({ authorization: 'Basic dTpw' }),
    status: 401,
    challenge: /^Bearer resource_metadata=/,
  },
  'no token after the scheme': { headers: async () => ({ authorization: 'Bearer' }), status: 401, challenge: invalid },
  'what is no token': { headers: async () => bearer('nonsense'), status: 401, challenge: invalid },
  'two tokens': {
    headers: async (server) => ({ authorization: [`Bearer ${await test.token({ server })}`, 'Bearer x'] }),
    status: 400,
    challenge: /error="invalid_request"/,
  },
  'a token in the address': {
    headers: async () => ({ authorization: '' }),
    status: 400,
    challenge: /error="invalid_request"/,
    query: '?access_token=x',
  },
  'a token of another server': {
    headers: async () => bearer(await test.token({ server: 'other' })),
    status: 401,
    challenge: invalid,
  },
  'a token of the instance': {
    headers: async () => bearer(await test.token({ audience: externalUrl })),
    status: 401,
    challenge: invalid,
  },
  'a broken signature': {
    headers: async (server) => bearer(changed(await test.token({ server }), 2, (text) => `${text.slice(0, -6)}AAAAAA`)),
    status: 401,
    challenge: invalid,
  },
  'no signature': {
    headers: async (server) => bearer(changed(await test.token({ server }), 2, () => '')),
    status: 401,
    challenge: invalid,
  },
  'the algorithm none': {
    headers: async (server) =>
      bearer(
        changed(
          changed(await test.token({ server }), 0, (text) => asJson(text, { alg: 'none' })),
          2,
          () => '',
        ),
      ),
    status: 401,
    challenge: invalid,
  },
  'an algorithm with a shared secret': {
    headers: async (server) =>
      bearer(changed(await test.token({ server }), 0, (text) => asJson(text, { alg: 'HS256' }))),
    status: 401,
    challenge: invalid,
  },
  'another type': {
    headers: async (server) => bearer(changed(await test.token({ server }), 0, (text) => asJson(text, { typ: 'JWT' }))),
    status: 401,
    challenge: invalid,
  },
  'an unknown key': {
    headers: async (server) => bearer(changed(await test.token({ server }), 0, (text) => asJson(text, { kid: 'x' }))),
    status: 401,
    challenge: invalid,
  },
  'changed claims': {
    headers: async (server) =>
      bearer(changed(await test.token({ server }), 1, (text) => asJson(text, { scope: 'admin' }))),
    status: 401,
    challenge: invalid,
  },
  'a sign-in that was ended': {
    headers: async (server) => {
      const session = await test.identity.sessions.begin({ userId: test.user.id, client: 'test', ttlSeconds: 600 });
      const token = await test.token({ server, sessionId: session.id });
      await test.owner.query('UPDATE user_sessions SET revoked_at = now() WHERE id = $1', [session.id]);
      for (let tries = 0; tries < 100; tries += 1) {
        const refused = await test.identity.verifier.examine(token, `${externalUrl}/api/v1/mcp/${server}/mcp`).then(
          () => false,
          () => true,
        );
        if (refused) break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return bearer(token);
    },
    status: 401,
    challenge: invalid,
  },
  'a sign-in that never was': { headers: async () => bearer(`spp_${randomUUID()}`), status: 401, challenge: invalid },
  'too few scopes': {
    headers: async (server) => bearer(await test.token({ server, scopes: ['anonymous'] })),
    status: 403,
    challenge: /^Bearer error="insufficient_scope", .*scope="anonymous user"$/,
  },
  'the scheme DPoP without a proof': {
    headers: async (server) => ({ authorization: `DPoP ${await test.token({ server })}` }),
    status: 401,
    challenge: /^DPoP error="invalid_dpop_proof"/,
  },
};

function ask(method: string, path: string, headers: Record<string, string | string[]>, body: string) {
  return new Promise<{ status: number; challenge: string | undefined }>((resolve, reject) => {
    const type = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const given = Object.entries({ ...type, ...headers }).flatMap(([name, value]) =>
      [value]
        .flat()
        .filter((one) => one !== '')
        .flatMap((one) => [name, one]),
    );
    const req = request({ host: '127.0.0.1', port: test.port, method, path, headers: ['host', 'localhost', ...given] });
    req.on('error', reject);
    req.on('response', (res) => {
      res.resume();
      resolve({ status: res.statusCode ?? 0, challenge: res.headers['www-authenticate'] });
    });
    req.end(body);
  });
}

describe.each(Object.keys(kinds))('a server that is %s', (server) => {
  it.each(Object.entries(wrong))('refuses %s', async (_, { headers, status, challenge, query = '' }) => {
    const sent = await headers(server);
    const base = `/api/v1/mcp/${server}`;
    const requests = [
      ['POST', `${base}/mcp`, list],
      ['POST', `${base}/mcp`, call],
      ['GET', `${base}/mcp`, ''],
      ['DELETE', `${base}/mcp`, ''],
      ['GET', `${base}/sse`, ''],
    ] as const;
    await test.seen();
    for (const [method, path, body] of requests) {
      const reply = await ask(method, `${path}${query}`, sent, body);
      expect({ method, path, ...reply }).toMatchObject({
        status,
        challenge: expect.stringMatching(challenge) as string,
      });
      if (reply.challenge?.includes('resource_metadata') === true)
        expect(reply.challenge).toContain(
          `${externalUrl}/.well-known/oauth-protected-resource/api/v1/mcp/${server}/mcp`,
        );
    }
    const posted = await ask('POST', `${base}/messages${query === '' ? '?session=x' : query}`, sent, list);
    expect([status, 404]).toContain(posted.status);
    expect((await test.seen()).requests).toEqual([]);
  });

  it('lets a good one in', async () => {
    const reply = await ask('POST', `/api/v1/mcp/${server}/mcp`, bearer(await test.token({ server })), list);
    expect(reply.status).toBe(200);
    expect((await test.seen()).requests).toHaveLength(1);
  });
});
