import { describe, expect, it } from 'vitest';
import { ModernOverLegacy } from '../../../../../src/lib/app/bridge/eras/modern-over-legacy.ts';
import { ParkedCalls } from '../../../../../src/lib/app/bridge/eras/parked-calls.ts';
import { JsonRpcMessage } from '../../../../../src/lib/app/bridge/message.ts';
import { until } from '../../../../helpers/until.ts';
import { asker, Ear, FakeBackend, modern, nobody, settled } from './fake-backend.ts';

const serverInfo = { name: 'behind', version: '3' };
const elicitation = { method: 'elicitation/create', params: { message: 'Sure?', requestedSchema: { type: 'object' } } };
const call = { name: 'wipe', arguments: { a: 1, b: 2 } };

function behind(capabilities?: Record<string, unknown>, parked?: ParkedCalls) {
  const backend = new FakeBackend('legacy', capabilities);
  return { backend, face: new ModernOverLegacy(backend, nobody, parked) };
}

/** A call at whose server a question is open; what the client got for it. */
async function asked({ backend, face }: ReturnType<typeof behind>, capabilities: object = { elicitation: {} }) {
  const ear = new Ear();
  const pending = face.request(...modern('tools/call', call, { capabilities }), ear);
  backend.last.hearer.onMessage(JsonRpcMessage.request('q1', elicitation.method, elicitation.params));
  await settled();
  return { ear, pending, server: backend.last };
}

describe('a modern client at a legacy server', () => {
  it('discovers what the server said at initialize', async () => {
    const { face } = behind({ tools: { listChanged: true }, tasks: {} });
    const ear = new Ear();
    face.request(...modern('server/discover'), ear);
    await settled();
    expect(ear.answer.result).toMatchObject({
      resultType: 'complete',
      supportedVersions: ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'],
      capabilities: { tools: { listChanged: true } },
      instructions: 'Be kind.',
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
    });
    expect(ear.answer.result).not.toHaveProperty('capabilities.tasks');
  });

  it('sends what a legacy server takes, and gets what it must', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(...modern('tools/list', { cursor: 'x' }, { meta: { progressToken: 7 }, id: 'a' }), ear);
    expect(backend.last.request.params).toEqual({ cursor: 'x', _meta: { progressToken: 7 } });
    backend.answer({
      tools: [{ name: 'one', inputSchema: { type: 'object' }, execution: { taskSupport: 'optional' } }],
    });
    expect(ear.answer).toEqual({
      jsonrpc: '2.0',
      id: 'a',
      result: {
        resultType: 'complete',
        ttlMs: 0,
        cacheScope: 'private',
        tools: [{ name: 'one', inputSchema: { type: 'object' } }],
        _meta: { 'io.modelcontextprotocol/serverInfo': serverInfo },
      },
    });
  });

  it('is asked for the pages that a server wants opened first, and calls anew', async () => {
    const { backend, face } = behind();
    const page = { mode: 'url', elicitationId: 'e1', url: 'https://pay.example/', message: 'Pay first.' };
    const refuse = () => {
      const { request, hearer } = backend.last;
      hearer.onAnswer(JsonRpcMessage.error(request.id ?? 0, -32_042, 'Pay first.', { elicitations: [page] }));
    };
    const capabilities = { elicitation: { url: {} } };
    const ear = new Ear();
    face.request(...modern('tools/call', call, { capabilities }), ear);
    refuse();
    const { elicitationId: _, ...params } = page;
    expect(ear.answer.result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { 'page-1': { method: 'elicitation/create', params } },
    });
    const again = new Ear();
    const opened = { ...call, inputResponses: { 'page-1': { action: 'accept' } } };
    face.request(...modern('tools/call', opened, { capabilities }), again);
    expect(backend.last.request.params).toEqual(call);
    backend.answer({ content: [] });
    expect(again.answer.result).toMatchObject({ resultType: 'complete' });
    const closed = new Ear();
    face.request(...modern('tools/call', { ...opened, inputResponses: { 'page-1': { action: 'decline' } } }), closed);
    await settled();
    expect(closed.answer.error).toMatchObject({ data: { reason: 'page_not_opened' } });
    // Who can open no page gets the server's word.
    const unable = new Ear();
    face.request(...modern('tools/call', call, { capabilities: { elicitation: {} } }), unable);
    refuse();
    expect(unable.answer.error).toMatchObject({ code: -32_042 });
  });

  it('is told that a resource is not there by the code of its era', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(...modern('resources/read', { uri: 'file:///x' }), ear);
    backend.fail(-32_002, 'Resource not found');
    expect(ear.answer.error).toEqual({ code: -32_602, message: 'Resource not found' });
  });

  it.each(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'tasks/list'])(
    'can not call %s, which its era does not have',
    async (method) => {
      const { backend, face } = behind();
      const ear = new Ear();
      face.request(...modern(method), ear);
      await settled();
      expect(ear.answer.error?.['code']).toBe(-32_601);
      expect(backend.got).toEqual([]);
    },
  );

  it.each([
    [
      'another revision',
      { 'mcp-protocol-version': '2099-01-01' },
      { 'io.modelcontextprotocol/protocolVersion': '2099-01-01' },
      -32_022,
    ],
    ['another method', { 'mcp-method': 'tools/list' }, {}, -32_020],
    ['another name', { 'mcp-name': 'harmless' }, {}, -32_020],
    ['capabilities that are none', {}, { 'io.modelcontextprotocol/clientCapabilities': 7 }, -32_602],
    ['no level', {}, { 'io.modelcontextprotocol/logLevel': 'loud' }, -32_602],
  ])('is refused when it says %s', async (_, headers, meta, code) => {
    const { backend, face } = behind();
    const ear = new Ear();
    const [request, by] = modern('tools/call', call, { meta });
    face.request(request, { ...by, headers: { ...by.headers, ...headers } }, ear);
    await settled();
    expect(ear.answer.error?.['code']).toBe(code);
    expect(backend.got).toEqual([]);
  });

  it('hears of progress, and of log messages as severe as it asked for', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(
      ...modern('tools/call', call, { meta: { 'io.modelcontextprotocol/logLevel': 'warning', progressToken: 't' } }),
      ear,
    );
    for (const level of ['info', 'error']) {
      backend.last.hearer.onMessage(JsonRpcMessage.notification('notifications/message', { level, data: level }));
    }
    backend.last.hearer.onMessage(
      JsonRpcMessage.notification('notifications/progress', { progressToken: 't', progress: 1 }),
    );
    expect(ear.messages.map(({ method, params }) => [method, params['data']])).toEqual([
      ['notifications/message', 'error'],
      ['notifications/progress', undefined],
    ]);
  });
});

describe('a question of a legacy server', () => {
  it('ends the round, and the answer in the next one lets the same call go on', async () => {
    const test = behind();
    const { ear, pending, server } = await asked(test);
    expect(ear.answer.result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { 'elicitation-1': elicitation },
      requestState: expect.stringMatching(/^[\w-]{32}$/),
    });
    // The response of the first round is closed: nobody left.
    pending.cancel();
    expect(server.cancelled).toBeUndefined();

    const second = new Ear();
    const back = {
      // The order of the arguments is the client's affair.
      ...{ name: 'wipe', arguments: { b: 2, a: 1 } },
      inputResponses: { 'elicitation-1': { action: 'accept', content: {} }, other: { action: 'accept' } },
      requestState: ear.answer.result?.['requestState'],
    };
    test.face.request(...modern('tools/call', back, { id: 2, capabilities: { elicitation: {} } }), second);
    expect(test.backend.responses.map(({ value }) => value)).toEqual([
      { jsonrpc: '2.0', id: 'q1', result: { action: 'accept', content: {} } },
    ]);
    test.backend.answer({ content: [{ type: 'text', text: 'gone' }] }, server);
    expect(second.answer).toMatchObject({ id: 2, result: { resultType: 'complete', content: [{ text: 'gone' }] } });
    expect(test.backend.got).toHaveLength(1);
  });

  it('is asked again, with a handle of its own, when its answer is missing or is none', async () => {
    const test = behind();
    const { ear } = await asked(test);
    const second = new Ear();
    const requestState = ear.answer.result?.['requestState'];
    const back = { ...call, requestState, inputResponses: { 'elicitation-1': { yes: true } } };
    test.face.request(...modern('tools/call', back, { capabilities: { elicitation: {} } }), second);
    expect(second.answer.result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { 'elicitation-1': {} },
    });
    expect(second.answer.result?.['requestState']).not.toBe(requestState);
    expect(test.backend.responses).toEqual([]);
  });

  it.each([
    ['another user', { user: 'eve' }, call],
    ['another call', {}, { ...call, arguments: { a: 1, b: 3 } }],
  ])('can not be answered by %s', async (_, who, what) => {
    const test = behind();
    const { ear } = await asked(test);
    const requestState = ear.answer.result?.['requestState'];
    const inputResponses = { 'elicitation-1': { action: 'accept' } };
    const [request, by] = modern('tools/call', { ...what, requestState, inputResponses });
    const stranger = new Ear();
    test.face.request(request, { ...asker('modern', who), headers: by.headers }, stranger);
    await settled();
    expect(stranger.answer.error).toMatchObject({ code: -32_602, data: { reason: 'unknown_request_state' } });
    expect(test.backend.responses).toEqual([]);
  });

  it('is answered once', async () => {
    const test = behind();
    const { ear } = await asked(test);
    const back = {
      ...call,
      requestState: ear.answer.result?.['requestState'],
      inputResponses: { 'elicitation-1': { action: 'accept' } },
    };
    test.face.request(...modern('tools/call', back), new Ear());
    const again = new Ear();
    test.face.request(...modern('tools/call', back), again);
    await settled();
    expect(again.answer.error?.['code']).toBe(-32_602);
    expect(test.backend.responses).toHaveLength(1);
  });

  it('goes back unasked when the client can not answer it, and when too many wait', async () => {
    const unable = behind();
    await asked(unable, {});
    expect(unable.backend.responses[0]?.value).toMatchObject({ id: 'q1', error: { code: -32_601 } });
    const full = behind(undefined, new ParkedCalls({ waitMs: 1_000, all: 0, perUser: 1 }));
    await asked(full);
    expect(full.backend.responses[0]?.value).toMatchObject({ id: 'q1', error: { code: -32_603 } });
  });

  it('is given up when nobody comes back', async () => {
    const test = behind(undefined, new ParkedCalls({ waitMs: 10, all: 1, perUser: 1 }));
    const { server } = await asked(test);
    await until('the call is given up', () => server.cancelled !== undefined);
    expect(server.cancelled).toContain('did not come back');
    expect(test.backend.responses[0]?.value).toMatchObject({ id: 'q1', error: { code: -32_603 } });
  });

  it('leaves with the client when that breaks the call off', async () => {
    const { backend, face } = behind();
    const pending = face.request(...modern('tools/call', call), new Ear());
    pending.cancel('gone');
    expect(backend.last.cancelled).toBe('gone');
  });
});

describe('a modern listener at a legacy server', () => {
  const capabilities = { tools: { listChanged: true }, resources: { subscribe: true } };
  const changed = (method: string, params = {}) => JsonRpcMessage.notification(`notifications/${method}`, params);

  it('hears of what it asked for, and of nothing after it has left', async () => {
    const { backend, face } = behind(capabilities);
    const [ear, other] = [new Ear(), new Ear()];
    const notifications = { toolsListChanged: true, promptsListChanged: true, resourceSubscriptions: ['file:///x'] };
    const pending = face.request(...modern('subscriptions/listen', { notifications }, { id: 'l' }), ear);
    face.request(...modern('subscriptions/listen', { notifications: { resourceSubscriptions: ['file:///x'] } }), other);
    await settled();
    expect(ear.messages[0]?.value).toMatchObject({
      method: 'notifications/subscriptions/acknowledged',
      params: {
        notifications: { toolsListChanged: true, resourceSubscriptions: ['file:///x'] },
        _meta: { 'io.modelcontextprotocol/subscriptionId': 'l' },
      },
    });
    expect(backend.got.map(({ request }) => [request.method, request.params['uri']])).toEqual([
      ['resources/subscribe', 'file:///x'],
    ]);
    face.hears.onMessage(changed('tools/list_changed'));
    face.hears.onMessage(changed('resources/updated', { uri: 'file:///x' }));
    face.hears.onMessage(changed('resources/updated', { uri: 'file:///y' }));
    expect(ear.messages.slice(1).map(({ method }) => method)).toEqual([
      'notifications/tools/list_changed',
      'notifications/resources/updated',
    ]);
    pending.cancel();
    face.hears.onMessage(changed('tools/list_changed'));
    expect(ear.messages).toHaveLength(3);
    // The other one still watches it.
    expect(backend.got).toHaveLength(1);
  });

  it('is told when there is nothing to hear, and when the server ends', async () => {
    const { face } = behind(capabilities);
    const [nothing, ear, wrong] = [new Ear(), new Ear(), new Ear()];
    face.request(...modern('subscriptions/listen', { notifications: {} }), nothing);
    face.request(...modern('subscriptions/listen', { notifications: { toolsListChanged: true } }), ear);
    face.request(...modern('subscriptions/listen', {}), wrong);
    await settled();
    expect(nothing.answer.result?.['resultType']).toBe('complete');
    expect(wrong.answer.error?.['code']).toBe(-32_602);
    face.hears.onEnd({ message: 'It ended.' });
    expect(ear.answer.result).toMatchObject({ _meta: { 'io.modelcontextprotocol/subscriptionId': 1 } });
  });
});
