import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SessionId, UserId } from '../../../../../src/lib/shared/ids.ts';
import { bridgeRig, messagesOf, textOf } from '../../../../helpers/bridge-rig.ts';
import { elsewhere } from '../../../../helpers/governed-server.ts';
import { until } from '../../../../helpers/until.ts';
import { json, legacyOpening, modernOpening, text, upstream } from './upstream.ts';

const list = { id: 1, method: 'tools/list' };
const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
};
const modern = { headers: { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo' } };
const modernCall = (args = {}) => ({
  id: 5,
  method: 'tools/call',
  params: { name: 'echo', arguments: args, _meta: meta },
});
const secret = { headers: { Authorization: 'Bearer hush-hush' }, key: 'k' };

describe('how a server elsewhere is spoken to', () => {
  it('is found out once, and sessions of its own era are its own', async () => {
    await using server = await upstream((sent, res) => {
      if (legacyOpening(sent, res, { 'mcp-session-id': 'theirs' })) return;
      res.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 'theirs' });
      res.end(`id: 7\ndata: ${JSON.stringify({ jsonrpc: '2.0', id: sent.message.id, result: text('raw') })}\n\n`);
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const opened = await rig.send({
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } },
    });
    expect([
      opened.headers.get('mcp-session-id'),
      (await messagesOf(opened)).at(-1)?.result?.['protocolVersion'],
    ]).toEqual(['theirs', '2025-06-18']);
    const answer = await rig.send({ id: 'x', method: 'tools/call', params: { name: 'echo' } }, { session: 'theirs' });
    // Bytes as they came, with the event's id.
    expect(await answer.text()).toMatch(/^id: 7\ndata: /);
    const resumed = await rig.request('GET', { session: 'theirs', headers: { 'last-event-id': '7' } });
    await resumed.text();
    await rig.request('DELETE', { session: 'theirs' });
    expect(
      server.got.slice(-2).map(({ method, headers }) => [method, headers['mcp-session-id'], headers['last-event-id']]),
    ).toEqual([
      ['GET', 'theirs', '7'],
      ['DELETE', 'theirs', undefined],
    ]);
    expect(server.got.filter(({ message }) => message.method === 'server/discover')).toHaveLength(1);
    expect(server.got.every(({ headers }) => headers['x-systemprompt-identity'] === undefined)).toBe(true);
  });

  it('is HTTP+SSE where nothing newer is spoken', async () => {
    const transports = new Map<string, SSEServerTransport>();
    const server = createServer(async (req, res) => {
      const url = new URL(req.url ?? '', 'http://localhost');
      if (req.method === 'GET' && url.pathname === '/sse') {
        const transport = new SSEServerTransport('/messages', res);
        transports.set(transport.sessionId, transport);
        const mcp = new McpServer({ name: 'old', version: '1' });
        mcp.registerTool('echo', { inputSchema: { a: z.string() } }, async ({ a }, extra) => {
          const token = extra._meta?.progressToken;
          if (token !== undefined)
            await extra.sendNotification({
              method: 'notifications/progress',
              params: { progressToken: token, progress: 1 },
            });
          return { content: [{ type: 'text', text: a }] };
        });
        await mcp.connect(transport);
      } else if (req.method === 'POST' && url.pathname === '/messages') {
        await transports.get(url.searchParams.get('sessionId') ?? '')?.handlePostMessage(req, res);
      } else res.writeHead(404).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`;
    await using rig = await bridgeRig({ external: elsewhere(endpoint) });
    // A single request, a session, and a client of the other era.
    expect(await rig.ask(list)).toMatchObject({ result: { tools: [{ name: 'echo' }] } });
    const session = await rig.initialize();
    const params = { name: 'echo', arguments: { a: 'b' }, _meta: { progressToken: 'p' } };
    const messages = await messagesOf(await rig.send({ id: 9, method: 'tools/call', params }, { session }));
    expect(messages.map(({ method, id }) => method ?? id)).toEqual(['notifications/progress', 9]);
    expect(textOf(await rig.ask(modernCall({ a: 'c' }), modern))).toBe('c');
    server.closeAllConnections();
    server.close();
  });

  it('by HTTP+SSE: what it says to one user beside answers nobody else hears', async () => {
    const streams = new Map<string, ServerResponse>();
    const say = (to: ServerResponse | undefined, value: object) =>
      to?.write(`event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...value })}\n\n`);
    let answered = false;
    await using server = await upstream(async ({ method, url, message }, res) => {
      const name = new URL(url, 'http://localhost').searchParams.get('s') ?? `s${streams.size}`;
      if (method === 'GET') {
        streams.set(name, res.writeHead(200, { 'content-type': 'text/event-stream' }));
        res.write(`event: endpoint\ndata: /mcp?s=${name}\n\n`);
        return;
      }
      res.writeHead(202).end();
      if (message.id === undefined) return;
      const opened = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'x', version: '1' } };
      say(streams.get(name), { id: message.id, result: message.method === 'initialize' ? opened : text('done') });
      if (message.method !== 'tools/call') return;
      await until('the answer is there', () => answered);
      say(streams.get(name), { method: 'notifications/message', params: { level: 'info', data: 'for one alone' } });
      say(streams.get(name), { id: 'q', method: 'elicitation/create', params: { message: 'for one alone' } });
      say(streams.get(name), { method: 'notifications/tools/list_changed' });
    });
    await using rig = await bridgeRig({ external: { ...elsewhere(server.endpoint), transport: 'sse' } });
    const identity = { sub: randomUUID() as UserId, sid: randomUUID() as SessionId };
    const session = await rig.initialize({ elicitation: {} }, { identity });
    const listening = await rig.request('GET', { session, identity });
    const heard = messagesOf(listening);
    expect(textOf(await rig.ask(modernCall(), modern))).toBe('done');
    answered = true;
    await until('the server was told that nobody can be asked', () =>
      server.got.some(({ message }) => message.id === 'q'),
    );
    await rig.request('DELETE', { session, identity });
    expect((await heard).map(({ method }) => method)).toEqual(['notifications/tools/list_changed']);
  });

  it('goes by what arguments a modern tool wants in its headers', async () => {
    await using server = await upstream((sent, res) => {
      if (modernOpening(sent, res)) return;
      const { id, method } = sent.message;
      const inputSchema = { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } };
      const tools = { resultType: 'complete', ttlMs: 0, cacheScope: 'private', tools: [{ name: 'echo', inputSchema }] };
      if (method === 'tools/list') json(res, { id, result: tools });
      else if (sent.headers['mcp-param-region'] === undefined)
        json(res, { id, error: { code: -32020, message: 'Mcp-Param-Region is missing' } }, 400);
      else json(res, { id, result: { resultType: 'complete', ...text(String(sent.headers['mcp-param-region'])) } });
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    expect(textOf(await rig.call('echo', { region: 'Köln' }))).toBe(
      `=?base64?${Buffer.from('Köln').toString('base64')}?=`,
    );
    expect(server.got.at(-1)?.headers).toMatchObject({
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
      'mcp-protocol-version': '2026-07-28',
    });
  });
});

describe('a server elsewhere that is changed for another', () => {
  it.each([[true], [false]])('is asked again what it speaks (a newer one: %s)', async (newer) => {
    let isModern = !newer;
    await using server = await upstream((sent, res) => {
      if (isModern ? modernOpening(sent, res) : legacyOpening(sent, res)) return;
      const { id, params } = sent.message;
      const meta = params?.['_meta'] as Record<string, unknown> | undefined;
      if (isModern !== 'io.modelcontextprotocol/protocolVersion' in (meta ?? {})) res.writeHead(400).end();
      else
        json(res, {
          id,
          result: { ...(isModern ? { resultType: 'complete' } : {}), ...text(isModern ? 'new' : 'old') },
        });
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const before = [textOf(await rig.ask(modernCall(), modern)), textOf(await rig.call('echo'))];
    isModern = newer;
    await until('the other one answers both eras', async () => {
      const after = [textOf(await rig.ask(modernCall(), modern)), textOf(await rig.call('echo'))];
      return after.every((told) => told === (newer ? 'new' : 'old'));
    });
    expect(before).toEqual(newer ? ['old', 'old'] : ['new', 'new']);
  });
});

describe('credentials of a server elsewhere', () => {
  it('go to it with each request, and to nobody else', async () => {
    await using server = await upstream((sent, res) => {
      if (!legacyOpening(sent, res)) json(res, { id: sent.message.id, result: { tools: [] } });
    });
    await using rig = await bridgeRig({
      external: { ...elsewhere(server.endpoint), auth: { type: 'key', per: 'user' } },
    });
    await rig.ask(list, { upstream: secret });
    await rig.ask(list, {
      upstream: { headers: { Authorization: 'Bearer other', 'Mcp-Session-Id': 'forged', Host: 'evil' }, key: 'o' },
      identity: { sub: 'eve' } as never,
    });
    const seen = server.got.filter(({ message }) => message.method === 'tools/list').map(({ headers }) => headers);
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer hush-hush', 'Bearer other']);
    expect(seen[1]).not.toHaveProperty('mcp-session-id');
    expect(seen[1]?.host).toContain('127.0.0.1');
    expect(server.got.filter(({ headers }) => headers.authorization === undefined)).toEqual([]);
  });

  it.each([
    [401, 'upstream_unauthorized'],
    [403, 'upstream_forbidden'],
    [302, 'redirected'],
    [500, undefined],
  ])('that it does not take (%i) are told of without a word of its own', async (status, reason) => {
    let refuses = false;
    await using server = await upstream((sent, res) => {
      if (!refuses && legacyOpening(sent, res, { 'mcp-session-id': 's' })) return;
      const headers = {
        'content-type': 'application/json',
        location: 'http://127.0.0.1:1/',
        'www-authenticate': 'Bearer realm="hush-hush"',
      };
      res.writeHead(status, headers).end('{"error":"hush-hush was wrong"}');
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const session =
      (await rig.send({ id: 0, method: 'initialize', params: {} }, { upstream: secret })).headers.get(
        'mcp-session-id',
      ) ?? '';
    refuses = true;
    const relayed = await rig.send({ ...list, id: 'r' }, { session, upstream: secret });
    const answers = [await messagesOf(relayed), [await rig.ask(list, { upstream: secret })]].map((messages) =>
      messages.at(-1),
    );
    for (const answer of answers) {
      expect(answer?.error?.data).toMatchObject({
        code: 'UPSTREAM_FAILED',
        upstream_status: status,
        ...(reason === undefined ? {} : { reason }),
      });
      expect(JSON.stringify(answer)).not.toContain('hush');
    }
    expect([answers[0]?.id, relayed.headers.get('www-authenticate'), relayed.headers.get('location')]).toEqual([
      'r',
      null,
      null,
    ]);
    expect(server.got.every(({ url }) => url === '/mcp')).toBe(true);
  });
});

describe('a server elsewhere that fails', () => {
  it('is not spoken to at an address that is not public, unless that is allowed', async () => {
    await using server = await upstream((sent, res) => legacyOpening(sent, res));
    await using rig = await bridgeRig({
      external: { ...elsewhere(server.endpoint.replace('http:', 'https:')), privateNetwork: false },
    }).catch((error: Error) => ({
      ask: async () => ({ error: { message: error.message } }),
      async [Symbol.asyncDispose]() {},
    }));
    const answer = (await rig.ask(list)) as { error?: { message: string } };
    expect(answer.error?.message).toContain('not a public one');
    expect(server.got).toEqual([]);
  });

  it('leaves a client of its own era with the status that makes it begin anew', async () => {
    await using server = await upstream((sent, res) => {
      if (sent.headers['mcp-session-id'] === 'gone')
        res.writeHead(404, { 'content-type': 'text/html' }).end('<h1>no</h1>');
      else legacyOpening(sent, res, { 'mcp-session-id': 'new' });
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const lost = await rig.send(list, { session: 'gone' });
    expect([lost.status, (await messagesOf(lost)).at(-1)]).toMatchObject([404, { id: 1, error: { code: -32001 } }]);
  });

  it('gets a new session for clients that know of none', async () => {
    let current = 0;
    await using server = await upstream((sent, res) => {
      if (sent.message.method === 'initialize') current += 1;
      if (legacyOpening(sent, res, { 'mcp-session-id': `s${current}` })) return;
      if (sent.headers['mcp-session-id'] !== `s${current}`)
        json(res, { id: null, error: { code: -32001, message: 'Session not found' } }, 404);
      else json(res, { id: sent.message.id, result: text(`in s${current}`) });
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const before = textOf(await rig.ask(modernCall(), modern));
    current += 1; // it was started anew
    const [one, other] = await Promise.all([rig.ask(modernCall(), modern), rig.ask(modernCall(), modern)]);
    expect(before).not.toBe(textOf(one));
    expect([one, other].map(textOf)).toEqual([`in s${current}`, `in s${current}`]);
    expect(server.got.filter(({ message }) => message.method === 'initialize')).toHaveLength(3);
  });

  it('goes on with a stream that broke, after the last event of it', async () => {
    await using server = await upstream((sent, res) => {
      if (legacyOpening(sent, res, { 'mcp-session-id': 's' })) return;
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const event = (id: string, message: object) =>
        `id: ${id}\ndata: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`;
      if (sent.method === 'GET') {
        res.end(event(`${sent.headers['last-event-id']}+`, { id: calls, result: text('resumed') }));
        return;
      }
      calls = sent.message.id;
      const params = { progressToken: 'p', progress: 1 };
      res.write(event('e1', { method: 'notifications/progress', params }), () => res.destroy());
    });
    let calls: unknown;
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const answers = await messagesOf(await rig.send(modernCall(), modern));
    expect(textOf(answers.at(-1) ?? {})).toBe('resumed');
    const again = server.got.filter(
      ({ method, headers }) => method === 'GET' && headers['last-event-id'] !== undefined,
    );
    expect(again.map(({ headers }) => [headers['last-event-id'], headers['mcp-session-id']])).toEqual([['e1', 's']]);
    expect(server.got.filter(({ message }) => message.method === 'tools/call')).toHaveLength(1);
  });

  it('is read no faster than a client reads', async () => {
    let poured = 0;
    await using server = await upstream((sent, res) => {
      if (legacyOpening(sent, res, { 'mcp-session-id': 's' })) return;
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      const chunk = `: ${'x'.repeat(65_000)}\n\n`;
      const pour = () => {
        while (poured < 200 * 1024 * 1024 && !res.destroyed) {
          poured += chunk.length;
          if (!res.write(chunk)) return res.once('drain', pour);
        }
        return undefined;
      };
      pour();
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const session = (await rig.send({ id: 0, method: 'initialize', params: {} })).headers.get('mcp-session-id') ?? '';
    // Nobody reads its body.
    const response = await rig.send(list, { session });
    let before = -1;
    await until('nothing more is taken', () => {
      const still = poured > 0 && poured === before;
      before = poured;
      return still;
    });
    expect(poured).toBeLessThan(32 * 1024 * 1024);
    await response.body?.cancel();
  });

  it('has its legacy sessions tried again when it could not be asked for them', async () => {
    let fails = true;
    await using server = await upstream((sent, res) => {
      if (sent.message.method === 'initialize' && fails) {
        fails = false;
        json(res, {}, 503);
      } else if (sent.message.method === 'initialize') legacyOpening(sent, res, { 'mcp-session-id': 'own' });
      else if (!modernOpening(sent, res) && !legacyOpening(sent, res)) json(res, { id: sent.message.id, result: {} });
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const hello = { id: 0, method: 'initialize', params: {} };
    expect((await rig.ask(hello)).error?.message).toContain('503');
    await until('it is tried again', async () => (await rig.ask(hello)).error === undefined);
    expect((await rig.send(hello)).headers.get('mcp-session-id')).toBe('own');
  });

  it('is told when a client leaves', async () => {
    let left = 0;
    await using server = await upstream((sent, res) => {
      if (legacyOpening(sent, res, { 'mcp-session-id': 's' })) return;
      res.once('close', () => {
        left += 1;
      });
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': here\n\n');
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    const abort = new AbortController();
    const session = (await rig.send({ id: 0, method: 'initialize', params: {} })).headers.get('mcp-session-id') ?? '';
    await rig.send(list, { session, signal: abort.signal });
    abort.abort();
    await until('the server knows', () => left === 1);
  });

  it.each([
    ['garbage', '{"jsonrpc":', 'no JSON-RPC message'],
    ['another answer', '{"jsonrpc":"2.0","id":"other","result":{}}', 'without an answer'],
  ])('tells its one caller of %s', async (_, body, message) => {
    await using server = await upstream((sent, res) => {
      if (!legacyOpening(sent, res)) res.writeHead(200, { 'content-type': 'application/json' }).end(body);
    });
    await using rig = await bridgeRig({ external: elsewhere(server.endpoint) });
    expect((await rig.ask(list)).error?.message).toContain(message);
  });
});
