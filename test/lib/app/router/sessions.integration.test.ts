import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { endMcpSessions, listMcpSessions } from '../../../../src/lib/domain/mcp/index.ts';
import { databaseFor } from '../../../../src/lib/infra/database/connection.ts';
import type { ServiceInstanceId, UserId } from '../../../../src/lib/shared/ids.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

let test: TestGateway;
const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const path = '/api/v1/mcp/alpha/mcp';

beforeAll(async () => {
  test = await openTestGateway({
    servers: [serverConfig(), serverConfig({ name: 'beta' })],
    // Written down every half second, idle after two.
    limits: { session_idle_s: 2, quiet_ms: 300 },
  });
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

const rows = (all = true) => listMcpSessions(test.database, { all, limit: 100 });
const rowOf = async (inner: string) => {
  const [row] = await test.owner.query<{
    id: string;
    server: string;
    active_at: Date;
    ended_at: Date;
    end_reason: string;
  }>('SELECT * FROM mcp.sessions WHERE upstream_id = $1', [inner]);
  return row;
};

async function begin(inner: string = randomUUID(), at = test.port) {
  const params = { session: inner, protocolVersion: '2025-06-18', clientInfo: { name: 'tester', version: '1.2' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
  const bound = String((await test.send(body, {}, 'POST', path, at)).headers['mcp-session-id']);
  return { inner, bound, headers: { 'mcp-session-id': bound, 'mcp-protocol-version': '2025-06-18' } };
}

const stream = (headers: Record<string, string>, at = test.port) =>
  new Promise<{ text: () => string; closed: Promise<void>; end: () => void }>((resolve, reject) => {
    const req = request({
      host: '127.0.0.1',
      port: at,
      path,
      headers: { authorization: `Bearer ${test.bearer}`, accept: 'text/event-stream', ...headers },
    });
    req.on('error', reject);
    req.on('response', (res) => {
      let text = '';
      res.on('error', () => {});
      res.on('data', (chunk) => {
        text += String(chunk);
      });
      const closed = new Promise<void>((done) => res.once('close', done));
      resolve({ text: () => text, closed, end: () => req.destroy() });
    });
    req.end();
  });

describe('a session', () => {
  it('is a row with who, where, by what and since when; nothing of what the client shows is in it', async () => {
    const { inner, bound } = await begin();
    await until('it is written down', async () => (await rowOf(inner)) !== undefined);
    expect(await rowOf(inner)).toMatchObject({
      server: 'alpha',
      instance_id: test.endpoints.get('mcp:alpha')?.instanceId,
      user_id: test.user.id,
      sign_in_id: test.session.id,
      client: 'test',
      transport: 'streamable-http',
      protocol_version: '2025-06-18',
      client_name: 'tester',
      client_version: '1.2',
      ended_at: null,
    });
    expect(JSON.stringify(await rows())).not.toContain(inner);
    expect(JSON.stringify(await test.owner.query('SELECT * FROM mcp.sessions'))).not.toContain(bound);
  });

  it('is its user’s alone in the database too', async () => {
    await begin();
    await until('there is one', async () => (await rows()).length > 0);
    const own = databaseFor(test.database, test.user.id);
    const stranger = databaseFor(test.database, randomUUID() as UserId);
    expect((await listMcpSessions(own, { all: true, limit: 100 })).length).toBeGreaterThan(0);
    expect(await listMcpSessions(stranger, { all: true, limit: 100 })).toEqual([]);
    expect(await endMcpSessions(stranger, {})).toEqual([]);
  });

  it('is known to another API process, and to one that was started anew', async () => {
    const { headers } = await begin();
    const other = await test.another();
    try {
      expect((await test.send(list, headers, 'POST', path, other.port)).status).toBe(200);
      const begunThere = await begin(randomUUID(), other.port);
      expect((await test.send(list, begunThere.headers)).status).toBe(200);
    } finally {
      await other.close();
    }
  });

  it('ends with the run of its server: its client is told to begin anew, and a call is a row', async () => {
    const { inner, headers } = await begin();
    await until('it is written down', async () => (await rowOf(inner)) !== undefined);
    const before = test.endpoints.get('mcp:alpha');
    if (before === undefined) throw new Error('no endpoint');
    test.endpoints.set('mcp:alpha', { ...before, instanceId: randomUUID() as ServiceInstanceId });
    await test.seen();
    const listed = await test.send(list, headers);
    expect(listed.status).toBe(404);
    expect(listed.json).toMatchObject({
      id: 1,
      error: { data: { code: 'NOT_FOUND', hint: expect.stringContaining('initialize') as string } },
    });
    const called = await test.call('echo', {}, headers);
    expect(called.status).toBe(404);
    expect(await test.rowOf(called)).toMatchObject({ decision: 'refused', status: 'refused' });
    expect((await test.seen()).requests).toEqual([]);
    const again = await begin();
    expect((await test.send(list, again.headers)).status).toBe(200);
  });

  it('that the server has forgotten is over', async () => {
    const { headers } = await begin('forgotten');
    await until('it is written down', async () => (await rowOf('forgotten')) !== undefined);
    expect((await test.send(list, headers)).status).toBe(404);
    await until('it is over', async () => (await rowOf('forgotten'))?.end_reason === 'lost');
    await test.seen();
    const call = await test.call('echo', {}, headers);
    expect(call.status).toBe(404);
    expect((await test.seen()).requests).toEqual([]);
  });

  it('ends when its client says so', async () => {
    const { inner, headers } = await begin();
    expect((await test.send('', headers, 'DELETE')).status).toBe(204);
    await until('it is over', async () => (await rowOf(inner))?.end_reason === 'closed');
    expect((await test.send(list, headers)).status).toBe(404);
    const other = await test.another();
    try {
      expect((await test.send(list, headers, 'POST', path, other.port)).status).toBe(404);
    } finally {
      await other.close();
    }
  });

  it('ends by an order everywhere, its streams too, and the server is told once', async () => {
    const other = await test.another();
    try {
      const { inner, headers } = await begin();
      const here = await stream(headers);
      const there = await stream(headers, other.port);
      await until('it is written down', async () => (await rowOf(inner)) !== undefined);
      await test.seen();
      const { id } = (await rowOf(inner)) ?? { id: '' };
      const ended = await endMcpSessions(test.database, { id });
      expect(ended).toMatchObject([{ id, server: 'alpha', user: test.user.name, endReason: 'ended' }]);
      await Promise.all([here.closed, there.closed]);
      const told: { method: string; session: unknown }[] = [];
      await until('the server is told', async () => {
        for (const { method, headers: sent } of (await test.seen()).requests)
          told.push({ method, session: sent['mcp-session-id'] });
        return told.length > 0;
      });
      expect((await test.send(list, headers)).status).toBe(404);
      expect((await test.send(list, headers, 'POST', path, other.port)).status).toBe(404);
      for (const { method, headers: sent } of (await test.seen()).requests)
        told.push({ method, session: sent['mcp-session-id'] });
      expect(told).toEqual([{ method: 'DELETE', session: inner }]);
    } finally {
      await other.close();
    }
  });

  it('ends when nobody uses it, and not while a stream is open, which is kept alive', async () => {
    const unused = await begin();
    const used = await begin();
    const open = await stream(used.headers);
    await until('the unused one is over', async () => (await rowOf(unused.inner))?.end_reason === 'idle', 10_000);
    expect((await test.send(list, unused.headers)).status).toBe(404);
    expect(open.text()).toMatch(/hello[^:]*\n\n: keep-alive\n\n/);
    expect(await rowOf(used.inner)).toMatchObject({ ended_at: null });
    expect((await test.send(list, used.headers)).status).toBe(200);
    open.end();
  });
});

it('a stream of a sign-in that was ended is ended', async () => {
  const { headers } = await begin();
  const session = await test.identity.sessions.begin({ userId: test.user.id, client: 'test', ttlSeconds: 600 });
  const authorization = `Bearer ${await test.token({ sessionId: session.id })}`;
  const open = await stream({ ...headers, authorization });
  await test.owner.query('UPDATE user_sessions SET revoked_at = now() WHERE id = $1', [session.id]);
  await open.closed;
});
