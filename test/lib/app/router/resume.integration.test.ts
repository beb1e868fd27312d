import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

let test: TestGateway;
const path = '/api/v1/mcp/alpha/mcp';

beforeAll(async () => {
  test = await openTestGateway({ servers: [serverConfig()], limits: { call_timeout_ms: 1500 } });
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

async function begin() {
  const params = { session: randomUUID(), protocolVersion: '2025-11-25' };
  const reply = await test.send(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }));
  return { 'mcp-session-id': String(reply.headers['mcp-session-id']) };
}

/** A request whose answer is read as it comes. */
async function stream(headers: Record<string, string>, body?: string, at = test.port) {
  let text = '';
  const closed = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<number>();
  const req = request({
    host: '127.0.0.1',
    port: at,
    path,
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${test.bearer}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
  });
  req.on('error', () => closed.resolve());
  req.on('response', (res) => {
    begun.resolve(res.statusCode ?? 0);
    res.on('data', (chunk) => {
      text += String(chunk);
    });
    res.on('error', () => {});
    res.once('close', () => closed.resolve());
  });
  req.end(body);
  const status = await begun.promise;
  return { status, text: () => text, closed: closed.promise, end: () => req.destroy() };
}

const call = (id: number, args: unknown) =>
  JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'resumable', arguments: args } });
const idsIn = (text: string) => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id ?? '');
const outcomes = async () =>
  (await test.rowsOf())
    .filter(({ tool }) => tool === 'resumable')
    .map(({ status, output_digest: digest }) => [status, digest !== null]);

it('an answer that its client lost is had by Last-Event-ID: one intent, one outcome, and no id of the server', async () => {
  const session = await begin();
  const lost = await stream(session, call(1, { key: 'a' }));
  await until('its first events are there', () => idsIn(lost.text()).length === 2);
  const [, last = ''] = idsIn(lost.text());
  expect(last).toMatch(/^r\.[0-9a-f]{12}\./);
  expect(lost.text()).not.toContain('a-2');
  lost.end();
  await until('the server lost its reader', async () => (await test.seen()).aborted > 0);
  expect(await outcomes()).toEqual([[null, false]]);
  const again = await stream({ ...session, 'last-event-id': last });
  await again.closed;
  expect(again.status).toBe(200);
  expect(again.text()).toContain('"resumed"');
  expect((await test.seen()).requests.at(-1)).toMatchObject({ method: 'GET', headers: { 'last-event-id': 'a-2' } });
  expect(await outcomes()).toEqual([['success', true]]);
  // Once more: it was recorded, and is given again.
  const twice = await stream({ ...session, 'last-event-id': last });
  await twice.closed;
  expect(twice.text()).toContain('"resumed"');
  expect(await outcomes()).toEqual([['success', true]]);
});

it('a server that ends its stream before its answer is asked again by the client, through whichever process', async () => {
  const other = await test.another();
  try {
    const session = await begin();
    const first = await stream(session, call(1, { key: 'b', end: true }));
    await first.closed;
    const last = idsIn(first.text()).at(-1) ?? '';
    const again = await stream({ ...session, 'last-event-id': last }, undefined, other.port);
    await again.closed;
    expect(again.text()).toContain('"resumed"');
    expect((await outcomes()).at(-1)).toEqual(['success', true]);
  } finally {
    await other.close();
  }
});

it('nobody else takes it up, and a call whose client never comes back has an outcome all the same', async () => {
  const session = await begin();
  const lost = await stream(session, call(1, { key: 'c' }));
  await until('its first events are there', () => idsIn(lost.text()).length === 2);
  const last = idsIn(lost.text()).at(-1) ?? '';
  lost.end();
  const eve = randomUUID() as UserId;
  await test.owner.query("INSERT INTO users (id, name, display_name, roles) VALUES ($1, 'eve', 'Eve', '{user}')", [
    eve,
  ]);
  const { id: sessionId } = await test.identity.sessions.begin({ userId: eve, client: 'test', ttlSeconds: 600 });
  const user = { id: eve, name: 'eve', status: 'active' as const, roles: ['user' as const], accessVersion: 1 };
  const authorization = `Bearer ${await test.token({ user, sessionId })}`;
  await test.seen();
  expect((await stream({ ...session, authorization, 'last-event-id': last })).status).toBe(400);
  expect((await stream({ 'last-event-id': last })).status).toBe(400);
  expect((await stream({ ...(await begin()), 'last-event-id': last })).status).toBe(400);
  expect((await test.seen()).requests.filter(({ method }) => method === 'GET')).toEqual([]);
  await until('its time is over', async () => (await outcomes()).at(-1)?.[0] === 'timeout');
});

it('an answer does not come by the stream of what a server says by itself', async () => {
  const session = await begin();
  const lost = await stream(session, call(1, { key: 'd' }));
  await until('its first events are there', () => idsIn(lost.text()).length === 2);
  lost.end();
  // As somebody who guessed how the server numbers its events.
  const guessed = await stream({ ...session, 'last-event-id': 'd-2' });
  await guessed.closed;
  expect(guessed.status).toBe(200);
  expect(guessed.text()).not.toContain('resumed');
  await until('its time is over', async () => (await outcomes()).at(-1)?.[0] === 'timeout');
});
