import { createHmac, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as listen } from 'node:net';
import { exportJWK, importJWK, type JWK, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { McpServerConfig } from '../../../../src/lib/domain/mcp/index.ts';
import { deriveIdentityKey } from '../../../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { type BridgeRig, bridgeRig } from '../../../helpers/bridge-rig.ts';
import { externalUrl } from '../../../helpers/identity.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

// Each way in which a token can be wrong, on each kind of server and each of its addresses: the right refusal with the right
// challenge, and not one byte at the server. Programs and servers elsewhere stand behind a bridge of their own.

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
  virtual: {
    kind: 'virtual',
    module: '',
    virtual: { targets: [{ server: 'internal', prefix: '', tools: '*' }] },
  },
};
let test: TestGateway;
/** Bytes that came to the server of each name. */
const bytes = new Map<string, number>();
const closing: (() => unknown)[] = [];
/** By server, of a client of MCP 2024-11-05 that is well signed in: where it posts. */
const messages = new Map<string, string>();

/** A server elsewhere, of which a bridge wants to know its tools. */
async function elsewhere(): Promise<number> {
  const results: Readonly<Record<string, object>> = {
    initialize: { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'e', version: '1' } },
    'tools/list': { tools: [] },
  };
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      if (req.method !== 'POST') return res.writeHead(405).end();
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id?: unknown; method: string };
      if (id === undefined) return res.writeHead(202).end();
      res.writeHead(200, { 'content-type': 'application/json' });
      return res.end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] ?? {} }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** What stands between the router and a server, and counts. @returns its port */
async function tap(name: string, port: number): Promise<number> {
  const server = listen((client) => {
    const behind = connect(port, '127.0.0.1');
    client.on('data', (chunk) => bytes.set(name, (bytes.get(name) ?? 0) + chunk.length));
    for (const socket of [client, behind]) socket.on('error', () => socket.destroy());
    client.pipe(behind).pipe(client);
    closing.push(() => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  const servers = Object.entries(kinds).map(([name, more]) => serverConfig({ ...more, name }));
  test = await openTestGateway({ servers: [...servers, serverConfig({ name: 'other' })] });
  const root = new Uint8Array(Buffer.from(test.identityRoot, 'base64url'));
  for (const name of ['internal', 'python', 'stdio', 'external']) {
    const endpoint = test.endpoints.get(`mcp:${name}`);
    if (endpoint === undefined) throw new Error(`no ${name}`);
    let { port } = endpoint;
    if (name === 'stdio' || name === 'external') {
      const { instanceId } = endpoint;
      const door = { instanceId, key: deriveIdentityKey(root, instanceId as ServiceInstanceId) };
      const external = {
        endpoint: `http://127.0.0.1:${name === 'external' ? await elsewhere() : 0}/mcp`,
        transport: 'streamable-http' as const,
        privateNetwork: true,
        auth: { type: 'none' } as never,
      };
      const rig: BridgeRig = await bridgeRig(name === 'stdio' ? { door } : { door, external });
      closing.push(() => rig[Symbol.asyncDispose]());
      port = Number(new URL(rig.origin).port);
    }
    test.endpoints.set(`mcp:${name}`, { ...endpoint, port: await tap(name, port) });
    messages.set(name, await openedStream(name));
  }
});
afterAll(async () => {
  await test.close();
  for (const close of closing.reverse()) await close();
});
afterEach(() => expect(test.unhandled).toEqual([]));

/** Opens a stream as clients of MCP 2024-11-05 do. @returns the address that it names */
async function openedStream(server: string): Promise<string> {
  const headers = { ...bearer(await test.token({ server })), accept: 'text/event-stream' };
  const req = request({ host: '127.0.0.1', port: test.port, path: `/api/v1/mcp/${server}/sse`, headers }).end();
  const [res] = await once(req, 'response');
  closing.push(() => req.destroy());
  const [chunk] = await once(res, 'data');
  return /^data: (.*)$/m.exec(String(chunk))?.[1] ?? '';
}

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
const now = () => Math.floor(Date.now() / 1000);

/** The instance's own signing key, as only a thief of the master key would have it. */
function ownKey(): Promise<{ kid: string; jwk: JWK; publicJwk: JWK }> {
  opened ??= openKey();
  return opened;
}
let opened: ReturnType<typeof ownKey> | undefined;

async function openKey(): ReturnType<typeof ownKey> {
  const [row] = await test.owner.query<{ kid: string; private_jwe: string; public_jwk: JWK }>(
    "SELECT kid, private_jwe, public_jwk FROM signing_keys WHERE status = 'active'",
  );
  if (row === undefined) throw new Error('no active key');
  const jwk = JSON.parse(new TextDecoder().decode(await test.secrets.open(row.private_jwe))) as JWK;
  return { kid: row.kid, jwk, publicJwk: row.public_jwk };
}

/** Signed with the right key unless told, and right but for what is told. */
async function forged(server: string, claims: object, header: object = {}, key?: JWK): Promise<string> {
  const own = await ownKey();
  const good = JSON.parse(
    Buffer.from((await test.token({ server })).split('.')[1] ?? '', 'base64url').toString(),
  ) as object;
  return new SignJWT({ ...good, ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: own.kid, ...header })
    .sign(await importJWK(key ?? own.jwk, 'ES256'));
}
const strangersKey = exportJWK(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

/** A user who is no more what the token says. */
async function outdated(server: string): Promise<string> {
  const claims = { sub: randomUUID(), access_version: 1 };
  const token = await forged(server, claims);
  await test.owner.query("INSERT INTO users (id, name, display_name, roles) VALUES ($1, $2, 'x', '{user}')", [
    claims.sub,
    `u${claims.sub.slice(0, 8)}`,
  ]);
  await test.owner.query("UPDATE users SET status = 'suspended' WHERE id = $1", [claims.sub]);
  await until401(server, token);
  return token;
}

/** Waits until word of what was taken back has come. */
async function until401(server: string, token: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const at = `${externalUrl}/api/v1/mcp/${server}/mcp`;
    const refused = await test.identity.verifier.examine(token, at).then(
      () => false,
      () => true,
    );
    if (refused) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Signed by HMAC with what everybody may read: our public key. */
async function signedWithPublicKey(server: string): Promise<string> {
  const { publicJwk, kid } = await ownKey();
  const pem = createPublicKey({ key: publicJwk as never, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const [, payload = ''] = (await test.token({ server })).split('.');
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'at+jwt', kid })).toString('base64url');
  return `${header}.${payload}.${createHmac('sha256', pem).update(`${header}.${payload}`).digest('base64url')}`;
}

/** One that is signed, and refused. */
const signed = (claims: () => object, header: object = {}): Wrong => ({
  headers: async (server) => bearer(await forged(server, claims(), header)),
  status: 401,
  challenge: invalid,
});
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
  'a token that a server got to act for its caller': {
    headers: async (server) => {
      const claims = await test.identity.verifier.examine(
        await test.token({ server }),
        `${externalUrl}/api/v1/mcp/${server}/mcp`,
      );
      return bearer((await test.identity.issuer.delegate(claims, externalUrl)).token);
    },
    status: 401,
    challenge: invalid,
  },
  'a token for several': signed(() => ({ aud: [externalUrl, `${externalUrl}/api/v1/mcp/other/mcp`] })),
  'a token for nobody': signed(() => ({ aud: undefined })),
  'another issuer': signed(() => ({ iss: 'https://evil.example' })),
  'an expired one': signed(() => ({ iat: now() - 100, exp: now() - 6 })),
  'one that never expires': signed(() => ({ exp: undefined })),
  'one that lives too long': signed(() => ({ exp: now() + 86_400 })),
  'one that is not good yet': signed(() => ({ nbf: now() + 60 })),
  'one of the future': signed(() => ({ iat: now() + 60, exp: now() + 120 })),
  'an ID token': signed(() => ({ nonce: 'n' }), { typ: 'JWT' }),
  'one without a session': signed(() => ({ sid: undefined })),
  'one without a subject': signed(() => ({ sub: undefined })),
  'one without its key': signed(() => ({}), { kid: undefined }),
  'one that brings its own key': {
    headers: async (server) => {
      const { d: _, ...jwk } = await strangersKey;
      return bearer(await forged(server, {}, { jwk }, await strangersKey));
    },
    status: 401,
    challenge: invalid,
  },
  'the name of our key and the signature of another': {
    headers: async (server) => bearer(await forged(server, {}, {}, await strangersKey)),
    status: 401,
    challenge: invalid,
  },
  'the public key as a shared secret': {
    headers: async (server) => bearer(await signedWithPublicKey(server)),
    status: 401,
    challenge: invalid,
  },
  'one that is bound to a key, without a proof': {
    headers: async (server) => bearer(await forged(server, { cnf: { jkt: 'A'.repeat(43) } })),
    status: 401,
    challenge: /^DPoP error="invalid_token"|^Bearer error="invalid_token"/,
  },
  'one of a user who was suspended': {
    headers: async (server) => bearer(await outdated(server)),
    status: 401,
    challenge: invalid,
  },
  'one that was taken back': {
    headers: async (server) => {
      const token = await test.token({ server });
      const { jti, exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as {
        jti: string;
        exp: number;
      };
      await test.owner.query('INSERT INTO revoked_tokens (jti, expires_at) VALUES ($1, to_timestamp($2))', [jti, exp]);
      await until401(server, token);
      return bearer(token);
    },
    status: 401,
    challenge: invalid,
  },
  'a good one in the head and another in the address': {
    headers: async (server) => bearer(await test.token({ server })),
    status: 400,
    challenge: /error="invalid_request"/,
    query: '?access_token=x',
  },
  'an endless one': { headers: async () => bearer('a'.repeat(9_000)), status: 401, challenge: invalid },
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
      await until401(server, token);
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
    bytes.clear();
    for (const [method, path, body] of requests) {
      const reply = await ask(method, `${path}${query}`, sent, body);
      // Where there is nothing to listen to, a token that is good as such is told that first.
      if (server === 'virtual' && status === 403 && method !== 'POST' && [404, 405].includes(reply.status)) continue;
      expect({ method, path, ...reply }).toMatchObject({
        status,
        challenge: expect.stringMatching(challenge) as string,
      });
      // Of the address that the client connects to (RFC 9728).
      if (reply.challenge?.includes('resource_metadata') === true)
        expect(reply.challenge).toContain(`"${externalUrl}/.well-known/oauth-protected-resource${path}"`);
    }
    const address = messages.get(server) ?? `${base}/messages?session=x`;
    const posted = await ask('POST', query === '' ? address : `${address}&${query.slice(1)}`, sent, list);
    // Who may not do what is asked hears it on the stream, where the answers of these clients come.
    if (status === 403 && messages.has(server)) expect(posted.status).toBe(202);
    else if (messages.has(server))
      expect(posted).toMatchObject({ status, challenge: expect.stringMatching(challenge) as string });
    else expect([status, 404]).toContain(posted.status);
    expect([...bytes]).toEqual([]);
  });

  it('lets a good one in', async () => {
    const headers = bearer(await test.token({ server }));
    const asked = server === 'virtual' ? list.replace('tools/list', 'ping') : list;
    expect((await ask('POST', `/api/v1/mcp/${server}/mcp`, headers, asked)).status).toBe(200);
    const posted = messages.get(server);
    if (posted === undefined) return;
    expect(bytes.get(server)).toBeGreaterThan(0);
    bytes.clear();
    expect((await ask('POST', posted, headers, list)).status).toBe(202);
    await expect.poll(() => bytes.get(server)).toBeGreaterThan(0);
  });
});
