import { hash } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

let test: TestGateway;

beforeAll(async () => {
  test = await openTestGateway({
    servers: [
      serverConfig({
        tools: new Map([
          ['slow', { scopes: [], timeoutMs: 300, secret: new Set<string>() }],
          ['guarded', { scopes: ['admin'], secret: new Set<string>() }],
          ['marked', { scopes: [], secret: new Set(['note']) }],
        ]),
      }),
    ],
    limits: { body_bytes: 1_000_000, call_timeout_ms: 3_000 },
  });
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

describe('a tool call', () => {
  it('is answered with the server’s own bytes after intent and outcome are there', async () => {
    const reply = await test.call('echo', { a: [1, 'ü'] }, {}, 'id-1');
    expect(reply.status).toBe(200);
    expect(reply.body).toBe(
      '{"jsonrpc":"2.0","id":"id-1","result":{"content":[{"type":"text","text":"{\\"a\\":[1,\\"ü\\"]}"}]}}',
    );
    const row = await test.rowOf(reply);
    expect(row).toMatchObject({
      tool: 'echo',
      decision: 'allowed',
      status: 'success',
      error: null,
      input: { a: [1, 'ü'] },
      required: ['user'],
      user_name: 'owner',
      output_bytes: Buffer.byteLength(reply.body),
      output_digest: hash('sha256', reply.body, 'hex'),
    });
    expect(row.latency_us).toBeGreaterThan(0);
    expect(row.upstream_us).toBeLessThanOrEqual(row.latency_us ?? 0);
  });

  it('passes progress at once and holds the answer of a stream', async () => {
    const reply = await test.call('stream');
    expect(reply.headers['content-type']).toBe('text/event-stream');
    const events = reply.body.split('\n\n').filter((part) => part !== '');
    expect(events).toHaveLength(3);
    expect(reply.json.result?.content?.[0]?.text).toBe('streamed');
    const rows = await test.rowsOf();
    expect(rows.at(-1)).toMatchObject({ tool: 'stream', status: 'success' });
    expect((await test.call('stream_crlf')).json.result?.content?.[0]?.text).toBe('crlf');
  });

  it('gives one answer where the server gives two, and does not wait for a stream left open', async () => {
    const two = await test.call('stream_two');
    expect(two.body.match(/data:/g)).toHaveLength(1);
    expect(two.json.result?.content?.[0]?.text).toBe('one');
    const open = await test.call('stream_open');
    expect(open.json.result?.content?.[0]?.text).toBe('left open');
    for (const reply of [two, open]) expect(await test.rowOf(reply)).toMatchObject({ status: 'success' });
  });

  it.each([
    ['tool_error', 200, 'tool_error', 'it broke'],
    ['rpc_error', 200, 'failed', 'it broke'],
    ['no_such_tool', 200, 'failed', 'Unknown tool: no_such_tool'],
    ['refused_400', 400, 'failed', 'header mismatch'],
    ['gone_404', 404, 'failed', 'Session not found'],
  ])('hands on what %s says, and records it', async (tool, http, status, error) => {
    const reply = await test.call(tool, { text: 'it broke' });
    expect(reply.status).toBe(http);
    expect(await test.rowOf(reply)).toMatchObject({ tool, decision: 'allowed', status, error });
  });

  it.each([
    ['garbage', /not JSON/],
    ['html', /no JSON/],
    ['error_500', /status 500/],
    ['accepted', /no JSON/],
    ['redirect', /no JSON|status 302/],
    ['unauthorized', /status 401/],
    ['half', /ended the connection/],
    ['wrong_id', /another request/],
    ['request', /request where its answer was due/],
    ['both', /malformed error/],
    ['no_result', /without a result/],
    ['two_json', /not one JSON-RPC message/],
  ])('makes a clear error of what %s sends', async (tool, message) => {
    const reply = await test.call(tool);
    expect(reply.status).toBe(502);
    expect(reply.headers['www-authenticate']).toBeUndefined();
    expect(reply.json.error).toMatchObject({
      message: expect.stringMatching(message) as string,
      data: { code: 'UPSTREAM_FAILED' },
    });
    expect(await test.rowOf(reply)).toMatchObject({
      tool,
      status: 'failed',
      error: expect.stringMatching(message) as string,
    });
  });

  it.each([
    ['stream_wrong_id', 502, /another request/],
    ['stream_garbage', 502, /not JSON/],
    ['stream_none', 200, /without an answer/],
    ['stream_broken', 200, /ended the connection/],
  ])('ends the stream of %s with an error for the caller', async (tool, http, message) => {
    const reply = await test.call(tool, {}, {}, 77);
    expect(reply.status).toBe(http);
    expect(reply.json).toMatchObject({ id: 77, error: { message: expect.stringMatching(message) as string } });
    expect((await test.rowsOf()).at(-1)).toMatchObject({ tool, status: 'failed' });
  });

  it.each(['huge', 'huge_chunked', 'stream_huge'])('does not take an answer that is too large (%s)', async (tool) => {
    const reply = await test.call(tool, { bytes: 2_000_000 });
    expect(reply.status).toBe(413);
    expect(reply.json.error?.message).toMatch(/larger than 1000000 bytes/);
    expect(await test.rowOf(reply)).toMatchObject({
      status: 'failed',
      error: expect.stringMatching(/larger/) as string,
    });
    expect(await test.rowOf(await test.call('huge', { bytes: 900_000 }))).toMatchObject({ status: 'success' });
  });

  it('is broken off after its tool’s time, or the profile’s', async () => {
    const slow = await test.call('slow', { ms: 2_000 });
    expect(slow.status).toBe(504);
    expect(await test.rowOf(slow)).toMatchObject({
      status: 'timeout',
      error: expect.stringMatching(/within 300 ms/) as string,
    });
    const never = await test.call('never');
    expect(never.status).toBe(504);
    expect(await test.rowOf(never)).toMatchObject({
      status: 'timeout',
      error: expect.stringMatching(/within 3000 ms/) as string,
    });
  });

  it('is broken off at the server when the client leaves', async () => {
    const before = (await test.seen()).aborted;
    const socket = connect(test.port, '127.0.0.1');
    const body =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"never","arguments":{"who":"leaver"}}}';
    socket.write(
      `POST /api/v1/mcp/alpha/mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${test.bearer}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await until('the server has it', async () =>
      (await test.seen()).requests.some(({ body: sent }) => sent.includes('leaver')),
    );
    socket.destroy();
    await until('the server lost it', async () => (await test.seen()).aborted === before + 1);
    await until('it is recorded', async () => (await test.rowsOf()).at(-1)?.status === 'cancelled');
  });

  it('is taken back by notifications/cancelled of the same sign-in', async () => {
    const running = test.call('never', { who: 'cancelled' }, {}, 'c-1');
    await until('the server has it', async () =>
      (await test.seen()).requests.some(({ body }) => body.includes('"who":"cancelled"')),
    );
    const cancel = (id: string) =>
      test.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } }));
    expect((await cancel('c-2')).status).toBe(202);
    expect((await cancel('c-1')).status).toBe(202);
    const reply = await running;
    expect(reply.json.error?.data).toMatchObject({ code: 'CANCELLED' });
    expect(await test.rowOf(reply)).toMatchObject({ status: 'cancelled' });
  });

  it('that is refused is a row, and never reaches the server', async () => {
    await test.seen();
    const reply = await test.call('guarded', { x: 1 });
    expect(reply.status).toBe(403);
    expect(reply.headers['www-authenticate']).toMatch(/error="insufficient_scope".*scope="user admin"/);
    expect(await test.rowOf(reply)).toMatchObject({
      decision: 'refused',
      status: 'refused',
      required: ['user', 'admin'],
      input: { x: 1 },
    });
    const admin = await test.token({ scopes: ['admin'] });
    expect((await test.call('guarded', {}, { authorization: `Bearer ${admin}` })).status).toBe(200);
    expect((await test.seen()).requests.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  it('without the scopes of its server is a row too, whatever it asks for', async () => {
    const weak = { authorization: `Bearer ${await test.token({ scopes: ['mcp'] })}` };
    const reply = await test.call('echo', {}, weak);
    expect(reply.status).toBe(403);
    expect(await test.rowOf(reply)).toMatchObject({ tool: 'echo', decision: 'refused', status: 'refused' });
    const malformed = await test.send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":7}', weak);
    expect(malformed.status).toBe(403);
    expect(await test.rowOf(malformed)).toMatchObject({ tool: '', decision: 'refused' });
    const count = (await test.rowsOf()).length;
    expect((await test.send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', weak)).status).toBe(403);
    expect((await test.send('', weak, 'GET')).status).toBe(403);
    expect(await test.rowsOf()).toHaveLength(count);
  });

  it('whose message is malformed is refused with the protocol’s error, and is a row when it was a call', async () => {
    const before = (await test.rowsOf()).length;
    for (const [body, code] of [
      ['{nonsense', -32700],
      ['[]', -32600],
      ['{"jsonrpc":"2.0"}', -32600],
    ] as const) {
      const reply = await test.send(body);
      expect(reply.status).toBe(400);
      expect(reply.json).toMatchObject({ id: null, error: { code } });
    }
    expect(await test.rowsOf()).toHaveLength(before);
    const reply = await test.send(
      '{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo","arguments":[]}}',
    );
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({ id: 9, error: { code: -32602 } });
    expect(await test.rowOf(reply)).toMatchObject({
      tool: 'echo',
      decision: 'refused',
      status: 'refused',
      error: expect.stringMatching(/object/) as string,
    });
  });

  it('whose message can be read in no way or in two is a row as well: an attempt is an attempt', async () => {
    const call = '"method":"tools/call","params":{"name":"echo","arguments":{}}';
    for (const [body, code] of [
      [`[{"jsonrpc":"2.0","id":1,${call}}]`, -32600],
      [`{"jsonrpc":"2.0","id":1,${call},"method":"tools/list"}`, -32600],
      [`{"jsonrpc":"2.0","id":1,"METHOD":"tools/call"}`, -32600],
      [`{"jsonrpc":"1.0","id":1,${call}}`, -32600],
      [`{"jsonrpc":"2.0","id":1,${call}`, -32700],
      [`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","task":1}}`, -32602],
    ] as const) {
      const reply = await test.send(body);
      expect(reply.status, body).toBe(400);
      expect(reply.json.error?.code, body).toBe(code);
      expect(await test.rowOf(reply), body).toMatchObject({ decision: 'refused', status: 'refused' });
    }
  });

  it('is judged by its body: headers that mirror something else are refused, and never reach the server', async () => {
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}';
    const before = (await test.executed()).length;
    for (const headers of [{ 'mcp-method': 'tools/list' }, { 'mcp-method': 'tools/call', 'mcp-name': 'other' }]) {
      const reply = await test.send(body, headers);
      expect(reply.status).toBe(400);
      expect(reply.json).toMatchObject({ id: 1, error: { code: -32020 } });
      expect(await test.rowOf(reply)).toMatchObject({ tool: 'echo', decision: 'refused' });
    }
    expect(await test.executed()).toHaveLength(before);
    const same = { 'mcp-method': 'tools/call', 'mcp-name': `=?base64?${Buffer.from('echo').toString('base64')}?=` };
    expect((await test.send(body, same)).status).toBe(200);
  });

  it('in an encoding that is not taken gets 415', async () => {
    const reply = await test.call('echo', {}, { 'content-encoding': 'gzip' });
    expect(reply.status).toBe(415);
    expect(reply.headers['accept-encoding']).toBe('identity');
  });

  it('to a server that is not ready, or not there, is a row', async () => {
    const endpoint = test.endpoints.get('mcp:alpha');
    if (endpoint === undefined) throw new Error('no endpoint');
    try {
      test.endpoints.set('mcp:alpha', { ...endpoint, state: 'starting' });
      const starting = await test.call('echo');
      expect(starting.status).toBe(503);
      expect(starting.headers['retry-after']).toBe('1');
      expect(await test.rowOf(starting)).toMatchObject({
        decision: 'allowed',
        status: 'failed',
        error: expect.stringMatching(/not ready/) as string,
      });
      test.endpoints.set('mcp:alpha', { ...endpoint, port: 1 });
      const unreachable = await test.call('echo');
      expect(unreachable.status).toBe(502);
      expect(await test.rowOf(unreachable)).toMatchObject({
        status: 'failed',
        error: expect.stringMatching(/could not be reached/) as string,
      });
    } finally {
      test.endpoints.set('mcp:alpha', endpoint);
    }
    expect((await test.call('echo')).status).toBe(200);
    expect((await test.send('{}', {}, 'POST', '/api/v1/mcp/nobody/mcp')).status).toBe(404);
  });

  it('has exactly one intent and one outcome, under load', async () => {
    const replies = await Promise.all(Array.from({ length: 400 }, (_, index) => test.call('echo', { index })));
    const ids = replies.map((reply) => String(reply.headers['x-systemprompt-execution-id']));
    expect(new Set(ids).size).toBe(400);
    const rows = (await test.rowsOf()).filter((row) => ids.includes(row.execution_id));
    expect(rows.map((row) => row.status)).toEqual(Array.from({ length: 400 }, () => 'success'));
    expect((await test.executed()).filter((id) => ids.includes(id))).toHaveLength(400);
  });
});

describe('secrets', () => {
  it('of arguments, answers, errors and headers are in no table and no log', async () => {
    const canary = 'sk-Canary0123456789abcdef';
    const plain = 'CanaryPlain987654321';
    const headers = { 'x-api-key': canary, 'user-agent': canary, cookie: `a=${canary}`, 'mcp-param-key': canary };
    await test.call(
      'echo',
      { password: plain, deep: [{ token: canary }], text: `use ${canary}`, args: ['set', '--secret', plain] },
      headers,
    );
    await test.call('marked', { note: plain }, headers);
    await test.call('tool_error', { password: plain, text: `cannot log in with ${plain} or ${canary}` }, headers);
    await test.call('rpc_error', { token: plain, text: `bad ${plain}, Authorization: Bearer ${canary}` }, headers);
    await test.call(canary, {}, headers);
    await test.call('garbage', { password: plain, where: `https://user:${plain}@localhost/` }, headers);
    await test.send(
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":"${canary}"}}`,
      headers,
    );
    await test.send(`{"${canary}`, headers);
    const tables = await test.dump();
    for (const secret of [canary, plain, test.bearer]) {
      expect(tables.includes(secret), `tables have ${secret}`).toBe(false);
      expect(test.log().includes(secret), `the log has ${secret}`).toBe(false);
    }
    expect(tables.includes('[redacted]')).toBe(true);
    expect(test.log()).toContain('A call was not answered');
  });
});

describe('an oversized or endless body', () => {
  const post = (headers: Record<string, string>) =>
    request({
      host: '127.0.0.1',
      port: test.port,
      path: '/api/v1/mcp/alpha/mcp',
      method: 'POST',
      headers: { authorization: `Bearer ${test.bearer}`, 'content-type': 'application/json', ...headers },
    });

  it('is refused by its announced length, and by what comes', async () => {
    const announced = await test.send(Buffer.alloc(1_500_000, ' '));
    expect(announced.status).toBe(413);
    expect(announced.json.error?.data).toMatchObject({ code: 'TOO_LARGE' });
    expect(await test.rowOf(announced)).toMatchObject({ tool: '', decision: 'refused', status: 'refused' });
    const req = post({ 'transfer-encoding': 'chunked' });
    const cut = new Promise<void>((resolve) => {
      req.on('error', () => undefined).on('close', resolve);
    });
    const answered = new Promise<number>((resolve, reject) => {
      req.on('error', reject).on('response', (res) => {
        resolve(res.statusCode ?? 0);
        res.on('error', () => undefined).resume();
      });
    });
    const chunk = Buffer.alloc(65_536, ' ');
    // A little too much and no end: whoever never stops to listen may miss the answer, for the connection is cut.
    for (let sent = 0; sent < 1_200_000; sent += chunk.length) req.write(chunk);
    expect(await answered).toBe(413);
    const more = setInterval(() => req.write(Buffer.alloc(1_048_576, ' ')), 10);
    await cut;
    clearInterval(more);
    await until('no connection is left', async () => (await test.connections()) <= 1);
  });
});
