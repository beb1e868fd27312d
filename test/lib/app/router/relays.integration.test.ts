import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../../../src/lib/infra/database/connection.ts';
import { deriveIdentityKey, verifyIdentity } from '../../../../src/lib/infra/security/identity-header.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { externalUrl } from '../../../helpers/identity.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

let test: TestGateway;

beforeAll(async () => {
  test = await openTestGateway({
    servers: [
      serverConfig(),
      serverConfig({ name: 'beta', delegate: true }),
      serverConfig({ name: 'gamma', oauth: { required: true, scopes: ['user'], clients: ['only'] } }),
    ],
    limits: { body_bytes: 1_000_000, call_timeout_ms: 700, body_timeout_ms: 300 },
  });
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const path = (server: string) => `/api/v1/mcp/${server}/mcp`;

async function lastSeen() {
  const { requests } = await test.seen();
  const last = requests.at(-1);
  if (last === undefined) throw new Error('the server saw nothing');
  return last;
}

describe('who may come in', () => {
  it('auth 32: without a token gets 401 with the metadata’s address and the scopes, and its body is not read', async () => {
    const socket = connect(test.port, '127.0.0.1');
    socket.write(
      'POST /api/v1/mcp/alpha/mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{',
    );
    const text = await new Promise<string>((resolve) => {
      let all = '';
      socket.on('data', (chunk) => {
        all += String(chunk);
        if (all.includes('"error"')) resolve(all);
      });
    });
    expect(text).toMatch(/^HTTP\/1\.1 401 /);
    expect(text).toContain(
      `resource_metadata="${externalUrl}/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp"`,
    );
    expect(text).toContain('scope="user"');
    await new Promise((resolve) => socket.once('close', resolve));
  });

  it('auth 12: auth 13: auth 14: a token of another server, a broken one and one in the address are refused', async () => {
    const beta = await test.token({ server: 'beta' });
    for (const authorization of [`Bearer ${beta}`, 'Bearer nonsense', `Bearer ${test.bearer.slice(0, -3)}AAA`]) {
      const reply = await test.send(list, { authorization });
      expect(reply.status).toBe(401);
      expect(reply.headers['www-authenticate']).toContain('error="invalid_token"');
      expect(reply.json).toMatchObject({ id: null, error: { data: { code: 'UNAUTHENTICATED' } } });
    }
    const query = await test.send(list, { authorization: '' }, 'POST', `${path('alpha')}?access_token=${test.bearer}`);
    expect(query.status).toBe(400);
    expect(test.log()).not.toContain(test.bearer);
  });

  it('auth 16: a token of an ended sign-in is refused', async () => {
    const session = await test.identity.sessions.begin({ userId: test.user.id, client: 'test', ttlSeconds: 600 });
    const authorization = `Bearer ${await test.token({ sessionId: session.id })}`;
    expect((await test.send(list, { authorization })).status).toBe(200);
    await test.identity.sessions.revoke(session.id);
    await until('it is refused', async () => (await test.send(list, { authorization })).status === 401);
  });

  it('a token of another client than the server’s is refused', async () => {
    const other = `Bearer ${await test.token({ server: 'gamma' })}`;
    expect((await test.send(list, { authorization: other }, 'POST', path('gamma'))).status).toBe(403);
    const only = `Bearer ${await test.token({ server: 'gamma', client: 'only' })}`;
    expect((await test.send(list, { authorization: only }, 'POST', path('gamma'))).status).toBe(200);
  });
});

describe('what a server is sent', () => {
  it('auth 15: never the caller’s credentials, but an identity for this run of it', async () => {
    await test.seen();
    const reply = await test.send(list, {
      cookie: 'session=1',
      'x-systemprompt-identity': 'forged',
      'x-systemprompt-token': 'forged',
      'x-forwarded-for': '1.2.3.4',
      'proxy-authorization': 'Basic eDp5',
      dpop: 'a.proof.of-the-caller',
      'mcp-protocol-version': '2025-11-25',
      'mcp-param-region': 'eu',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    });
    expect(reply.status).toBe(200);
    const { headers, url, body } = await lastSeen();
    expect(url).toBe('/mcp');
    expect(body).toBe(list);
    expect(Object.keys(headers).sort()).toEqual([
      'accept',
      'connection',
      'content-length',
      'content-type',
      'host',
      'mcp-param-region',
      'mcp-protocol-version',
      'traceparent',
      'x-systemprompt-identity',
    ]);
    const endpoint = test.endpoints.get('mcp:alpha');
    if (endpoint === undefined) throw new Error('no endpoint');
    const key = deriveIdentityKey(Buffer.from(test.identityRoot, 'base64url'), endpoint.instanceId);
    expect(verifyIdentity(key, headers['x-systemprompt-identity'], { instanceId: endpoint.instanceId })).toMatchObject({
      sub: test.user.id,
      sid: test.session.id,
      scopes: ['user'],
    });
  });

  it('a call’s execution id, and for a server that may act for its caller a token for this instance', async () => {
    const authorization = `Bearer ${await test.token({ server: 'beta' })}`;
    const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}';
    const reply = await test.send(call, { authorization }, 'POST', path('beta'));
    const { headers } = await lastSeen();
    const identity = JSON.parse(
      Buffer.from(String(headers['x-systemprompt-identity']).split('.')[0] ?? '', 'base64url').toString(),
    ) as { exec: string };
    expect(identity.exec).toBe(reply.headers['x-systemprompt-execution-id']);
    const token = String(headers['x-systemprompt-token']);
    const claims = await test.identity.verifier.verify(token, `${externalUrl}/api/v1`);
    expect(claims).toMatchObject({ sub: test.user.id, scopes: ['user'] });
    expect(claims.exp - claims.iat).toBeLessThanOrEqual(60);
    await test.send(call, { authorization }, 'POST', path('beta'));
    expect((await lastSeen()).headers['x-systemprompt-token']).toBe(token);
    await test.call('echo');
    expect((await lastSeen()).headers['x-systemprompt-token']).toBeUndefined();
  });
});

describe('everything but a tool call', () => {
  it('passes as it is', async () => {
    expect((await test.send(list)).body).toBe('{"jsonrpc":"2.0","id":1,"result":{"method":"tools/list"}}');
    expect((await test.send('{"jsonrpc":"2.0","method":"notifications/initialized"}')).status).toBe(202);
    expect((await test.send('{"jsonrpc":"2.0","id":1,"result":{}}')).status).toBe(202);
    expect((await test.send('', {}, 'DELETE')).status).toBe(204);
    expect((await test.send('', {}, 'PUT')).status).toBe(405);
    expect((await test.rowsOf()).filter((row) => row.tool !== 'echo')).toEqual([]);
  });

  it('must be of the right type, and its client must take both kinds of answer', async () => {
    expect((await test.send(list, { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await test.send(list, { accept: 'application/json' })).status).toBe(406);
    expect((await test.send(list, { accept: '*/*' })).status).toBe(200);
    expect((await test.send(list, { 'content-type': 'application/json; charset=utf-8' })).status).toBe(200);
  });

  it('auth 35: streams events at once, and ends at the server when the client leaves', async () => {
    const before = (await test.seen()).openStreams;
    const req = request({
      host: '127.0.0.1',
      port: test.port,
      path: path('alpha'),
      headers: { authorization: `Bearer ${test.bearer}`, accept: 'text/event-stream', 'last-event-id': '7' },
    });
    req.end();
    const first = await new Promise<string>((resolve) =>
      req.on('response', (res) => res.once('data', (chunk) => resolve(String(chunk)))),
    );
    expect(first).toContain('notifications/message');
    const seen = await test.seen();
    expect(seen.openStreams).toBe(before + 1);
    // 35: what a server said by itself can be had again, but no answer: see resume.integration.test.ts.
    expect(seen.requests.at(-1)?.headers['last-event-id']).toBe('7');
    req.destroy();
    await until('the server’s stream has ended', async () => (await test.seen()).openStreams === before);
  });

  it('goes no faster than its client reads', async () => {
    const { aborted } = await test.seen();
    const socket = connect({ port: test.port, host: '127.0.0.1' });
    const body = '{"jsonrpc":"2.0","id":1,"method":"big/list"}';
    socket.write(
      `POST ${path('alpha')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${test.bearer}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
    let before = -1;
    await until('the server can write no more', async () => {
      const { poured } = await test.seen();
      const stuck = poured === before;
      before = poured;
      return stuck;
    });
    expect(before).toBeLessThan(15_000_000);
    socket.destroy();
    await until('the server lost it', async () => (await test.seen()).aborted > aborted);
  });

  it('that the server fails at, or takes too long for, is a clear error', async () => {
    const bad = await test.send('{"jsonrpc":"2.0","id":5,"method":"bad/list"}');
    expect(bad.status).toBe(502);
    expect(bad.json).toMatchObject({ id: 5, error: { message: expect.stringMatching(/status 503/) as string } });
    const slow = await test.send('{"jsonrpc":"2.0","id":6,"method":"slow/list"}');
    expect(slow.status).toBe(504);
    expect(slow.json).toMatchObject({ id: 6, error: { data: { code: 'TIMEOUT' } } });
  });
});

describe('a session', () => {
  it('auth 34: opens nothing for another user, another server, or whoever guesses', async () => {
    const initialize = '{"jsonrpc":"2.0","id":1,"method":"initialize"}';
    const session = String((await test.send(initialize)).headers['mcp-session-id']);
    expect(session).not.toBe('inner-session-1');
    expect((await test.send(list, { 'mcp-session-id': session })).status).toBe(200);
    expect((await lastSeen()).headers['mcp-session-id']).toBe('inner-session-1');
    await test.owner.query("INSERT INTO users (id, name, display_name, roles) VALUES ($1, 'eve', 'Eve', '{user}')", [
      eve,
    ]);
    const eves = await test.identity.sessions.begin({ userId: eve, client: 'test', ttlSeconds: 600 });
    const stranger = {
      authorization: `Bearer ${await test.token({ user: { id: eve, name: 'eve', status: 'active', roles: ['user'], accessVersion: 1 }, sessionId: eves.id })}`,
    };
    expect((await test.send(list, stranger)).status).toBe(200);
    const beta = { authorization: `Bearer ${await test.token({ server: 'beta' })}` };
    for (const reply of [
      await test.send(list, { ...stranger, 'mcp-session-id': session }),
      await test.send(list, { ...beta, 'mcp-session-id': session }, 'POST', path('beta')),
      await test.send(list, { 'mcp-session-id': 'inner-session-1' }),
      await test.send(list, { 'mcp-session-id': `inner-session-1.${'A'.repeat(22)}` }),
      await test.send('', { ...stranger, 'mcp-session-id': session }, 'GET'),
      await test.send('', { ...stranger, 'mcp-session-id': session }, 'DELETE'),
    ]) {
      expect(reply.status).toBe(404);
    }
    const call = await test.call('echo', {}, { ...stranger, 'mcp-session-id': session });
    expect(call.status).toBe(404);
    expect(await test.rowOf(call)).toMatchObject({ decision: 'refused', status: 'refused' });
  });
});

const eve = '5d1f2f6e-6a3c-4f8e-9d2b-0a1b2c3d4e5f' as UserId;

describe('a body that never ends', () => {
  it('is given up after its time, with an answer, and leaves no connection', async () => {
    const before = await test.connections();
    const socket = connect(test.port, '127.0.0.1');
    socket.write(
      `POST ${path('alpha')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${test.bearer}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`,
    );
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    await new Promise((resolve) => socket.once('close', resolve));
    expect(text).toMatch(/^HTTP\/1\.1 408 /);
    expect(text).toContain('"code":"TIMEOUT"');
    const executionId = /x-systemprompt-execution-id: (\S+)/i.exec(text)?.[1];
    const rows = (await test.rowsOf()).filter((row) => row.execution_id === executionId);
    expect(rows).toMatchObject([{ tool: '', decision: 'refused', status: 'refused' }]);
    await until('its connection is gone', async () => (await test.connections()) <= before);
  });

  it('leaves nothing when its client goes away', async () => {
    const before = await test.connections();
    const socket = connect(test.port, '127.0.0.1');
    socket.write(
      `POST ${path('alpha')} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${test.bearer}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{`,
    );
    await until('it is connected', async () => (await test.connections()) > before);
    socket.destroy();
    await until('its connection is gone', async () => (await test.connections()) <= before);
  });
});

describe('without the audit', () => {
  it('no call is made, and calls go through again when it is back', async () => {
    const role = test.testDatabase.audit.user;
    const calls = (await test.executed()).length;
    const admin = openDatabase({ ...test.testDatabase.admin, database: 'postgres' }, { poolSize: 1 });
    try {
      await admin.query(`ALTER ROLE "${role}" NOLOGIN`);
      await admin.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [role]);
      await until('calls are refused', async () => (await test.call('echo')).status === 503);
      const made = (await test.executed()).length;
      const reply = await test.call('echo', { never: 'made' });
      expect(reply.status).toBe(503);
      expect(reply.headers['retry-after']).toBe('1');
      expect(reply.json.error?.data).toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
      expect((await test.executed()).length).toBe(made);
      expect(made).toBeGreaterThanOrEqual(calls);
      expect((await test.send(list)).status).toBe(200);
    } finally {
      await admin.query(`ALTER ROLE "${role}" LOGIN`);
      await admin.close();
    }
    await until('calls go through again', async () => (await test.call('echo')).status === 200);
  });
});
