import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { SSEClientTransport } from '@modelcontextprotocol/client';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { listMcpSessions } from '../../../../src/lib/domain/mcp/index.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

// HTTP with SSE, as clients of MCP 2024-11-05 speak it.

let test: TestGateway;
const base = '/api/v1/mcp/alpha';

beforeAll(async () => {
  test = await openTestGateway({
    servers: [serverConfig(), serverConfig({ name: 'beta' })],
    limits: { quiet_ms: 300, body_bytes: 100_000 },
  });
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

/** The stream of an old client: its address to post to, and the messages that came. */
async function open(headers: Record<string, string> = {}, at = test.port, path = `${base}/sse`) {
  let text = '';
  const closed = Promise.withResolvers<void>();
  const status = Promise.withResolvers<number>();
  const req = request({
    host: '127.0.0.1',
    port: at,
    path,
    headers: { authorization: `Bearer ${test.bearer}`, accept: 'text/event-stream', ...headers },
  });
  req.on('error', () => closed.resolve());
  req.on('response', (res) => {
    status.resolve(res.statusCode ?? 0);
    res.on('data', (chunk) => {
      text += String(chunk);
    });
    res.on('error', () => {});
    res.once('close', () => closed.resolve());
  });
  req.end();
  const code = await status.promise;
  if (code === 200) await until('the address is there', () => text.includes('\n\n'));
  return {
    status: code,
    endpoint: /event: endpoint\ndata: (\S+)\n\n/.exec(text)?.[1] ?? '',
    text: () => text,
    messages: () =>
      [...text.matchAll(/event: message\ndata: (.*)\n\n/g)].map(
        ([, json]) =>
          JSON.parse(json ?? '') as { id?: unknown; method?: string; result?: unknown; error?: { message: string } },
      ),
    closed: closed.promise,
    end: () => req.destroy(),
  };
}

const post = (endpoint: string, message: unknown, headers: Record<string, string> = {}, at = test.port) =>
  test.send(JSON.stringify(message), { accept: '*/*', ...headers }, 'POST', endpoint, at);
const initialize = (session: string) => ({
  jsonrpc: '2.0',
  id: 0,
  method: 'initialize',
  params: { session, protocolVersion: '2024-11-05', clientInfo: { name: 'old', version: '0.1' } },
});
const call = (id: number | string, name: string, args: unknown = {}) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, arguments: args },
});

it('answers on the stream, with a session at the server, and ends that with the stream', async () => {
  const inner = randomUUID();
  const stream = await open();
  expect(stream.endpoint).toMatch(/^\/api\/v1\/mcp\/alpha\/messages\?session=/);
  expect(await post(stream.endpoint, initialize(inner))).toMatchObject({ status: 202, body: 'Accepted' });
  await until('it is answered', () => stream.messages().length === 1);
  expect(stream.messages()).toMatchObject([{ id: 0, result: { protocolVersion: '2025-11-25' } }]);
  await post(stream.endpoint, { jsonrpc: '2.0', method: 'notifications/initialized' });
  await until('the server’s own stream is heard', () =>
    stream.messages().some(({ method }) => method === 'notifications/message'),
  );
  await test.seen();
  await post(stream.endpoint, call(1, 'echo', { a: 1 }));
  await post(stream.endpoint, call('two', 'stream'));
  await until('both are answered', () =>
    ['two', 1].every((id) => stream.messages().some((message) => message.id === id)),
  );
  expect(stream.messages().filter(({ method }) => method === 'notifications/progress')).toHaveLength(2);
  const { requests } = await test.seen();
  expect(requests.map(({ headers }) => headers['mcp-session-id'])).toEqual([inner, inner]);
  expect((await test.rowsOf()).filter(({ status }) => status === 'success')).toHaveLength(2);
  stream.end();
  await until('the server is told', async () =>
    (await test.seen()).requests.some(
      ({ method, headers }) => method === 'DELETE' && headers['mcp-session-id'] === inner,
    ),
  );
  await until('it is over', async () =>
    (await listMcpSessions(test.database, { all: true, limit: 100 })).some(
      ({ transport, clientName, endReason }) => transport === 'sse' && clientName === 'old' && endReason === 'closed',
    ),
  );
});

it('is served by every process: what another one gets is handed to the one that has the stream', async () => {
  const other = await test.another();
  try {
    const stream = await open({}, other.port);
    expect((await post(stream.endpoint, call(7, 'echo', { b: 2 }))).status).toBe(202);
    await until('it is answered', () => stream.messages().some(({ id }) => id === 7));
    expect((await post(stream.endpoint, call(8, 'echo'), { authorization: 'Bearer nonsense' })).status).toBe(401);
    const gone = stream.endpoint.replace(/session=[0-9a-f]{12}/, 'session=0123456789ab');
    expect((await post(gone, call(9, 'echo'))).status).toBe(404);
    stream.end();
  } finally {
    await other.close();
  }
});

it('is its user’s and its server’s alone, and wants a token with every message', async () => {
  const stream = await open();
  const eve = randomUUID() as UserId;
  await test.owner.query("INSERT INTO users (id, name, display_name, roles) VALUES ($1, 'eve', 'Eve', '{user}')", [
    eve,
  ]);
  const { id: sessionId } = await test.identity.sessions.begin({ userId: eve, client: 'test', ttlSeconds: 600 });
  const user = { id: eve, name: 'eve', status: 'active' as const, roles: ['user' as const], accessVersion: 1 };
  const stranger = { authorization: `Bearer ${await test.token({ user, sessionId })}` };
  const beta = { authorization: `Bearer ${await test.token({ server: 'beta' })}` };
  await test.seen();
  expect((await post(stream.endpoint, call(1, 'echo'), stranger)).status).toBe(404);
  expect((await post(stream.endpoint.replace('alpha', 'beta'), call(1, 'echo'), beta)).status).toBe(404);
  expect((await post(stream.endpoint, call(1, 'echo'), { authorization: '' })).status).toBe(401);
  expect((await post(`${base}/messages`, call(1, 'echo'))).status).toBe(404);
  expect((await open({ authorization: 'Bearer x' })).status).toBe(401);
  expect((await test.seen()).requests).toEqual([]);
  expect(stream.messages()).toEqual([]);
  stream.end();
});

it('says what is wrong: with a message at once, with a server on the stream; a client that tries the newer way hears 405', async () => {
  const stream = await open();
  expect((await test.send('{', {}, 'POST', stream.endpoint)).status).toBe(400);
  expect((await test.send('x'.repeat(200_000), {}, 'POST', stream.endpoint)).status).toBe(413);
  expect((await post(stream.endpoint, call(1, 'garbage'))).status).toBe(202);
  expect((await post(stream.endpoint, call(2, 'stream_broken'))).status).toBe(202);
  expect((await post(stream.endpoint, { jsonrpc: '2.0', id: 3, method: 'bad/list' })).status).toBe(202);
  await until('each has an error', () => stream.messages().filter(({ error }) => error !== undefined).length === 3);
  expect(
    stream
      .messages()
      .flatMap(({ id, error }) => (error === undefined ? [] : [id]))
      .sort(),
  ).toEqual([1, 2, 3]);
  expect((await post(`${base}/sse`, initialize('x'))).status).toBe(405);
  const stranger = await fetch(`http://127.0.0.1:${test.port}${base}/sse`);
  expect([stranger.status, stranger.headers.get('www-authenticate')]).toEqual([
    401,
    expect.stringContaining(`/.well-known/oauth-protected-resource${base}/sse"`) as string,
  ]);
  await until('it is kept alive', () => stream.text().includes(': keep-alive\n\n'));
  const aborted = (await test.seen()).aborted;
  await post(stream.endpoint, call(4, 'never'));
  await until('the call runs', async () => (await test.seen()).requests.length > 0);
  stream.end();
  await until('the server lost its client', async () => (await test.seen()).aborted > aborted);
  await until('the call is on record', async () =>
    (await test.rowsOf()).some(({ tool, status }) => tool === 'never' && status === 'cancelled'),
  );
});

it('serves a real client of that time', async () => {
  const headers = { authorization: `Bearer ${test.bearer}` };
  const transport = new SSEClientTransport(new URL(`http://127.0.0.1:${test.port}${base}/sse`), {
    requestInit: { headers },
    eventSourceInit: {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...headers, accept: 'text/event-stream' } }),
    },
  });
  const messages: unknown[] = [];
  transport.onmessage = (message) => messages.push(message);
  await transport.start();
  await transport.send({ jsonrpc: '2.0', id: 5, method: 'ping' });
  await until('it is answered', () => messages.length > 0);
  expect(messages).toMatchObject([{ id: 5, result: { method: 'ping' } }]);
  await transport.close();
});
