import { describe, expect, it } from 'vitest';
import { LegacyOverModern } from '../../../../../src/lib/app/bridge/eras/legacy-over-modern.ts';
import { JsonRpcMessage } from '../../../../../src/lib/app/bridge/message.ts';
import { asker, Ear, FakeBackend, settled } from './fake-backend.ts';

const key = (name: string) => `io.modelcontextprotocol/${name}`;
const opened = {
  protocolVersion: '2025-06-18',
  capabilities: { elicitation: {}, sampling: {} },
  clientInfo: { name: 'old', version: '1' },
};
const client = asker('legacy', { session: 's', opened });
const request = (method: string, params = {}, id = 1) => JsonRpcMessage.request(id, method, params);
const call = request('tools/call', { name: 'wipe', arguments: { a: 1 } });
const confirm = { method: 'elicitation/create', params: { message: 'Sure?', requestedSchema: { type: 'object' } } };
const sample = { method: 'sampling/createMessage', params: { messages: [], maxTokens: 5 } };

function behind(capabilities?: Record<string, unknown>) {
  const backend = new FakeBackend('modern', capabilities);
  const told: [JsonRpcMessage, string | undefined][] = [];
  const listener = {
    onMessage: (...heard: [JsonRpcMessage, string?]) => told.push([heard[0], heard[1]]),
    onEnd: () => {},
  };
  return { backend, told, face: new LegacyOverModern(backend, listener) };
}

describe('a legacy client at a modern server', () => {
  it.each([
    ['2025-06-18', '2025-06-18'],
    ['1999-01-01', '2025-11-25'],
  ])('opens a session in revision %s', async (protocolVersion, given) => {
    const { backend, face } = behind();
    const [ear, ping] = [new Ear(), new Ear()];
    face.request(request('initialize', { ...opened, protocolVersion }), client, ear);
    face.request(request('ping'), client, ping);
    await settled();
    expect(ear.answer.result).toEqual({
      protocolVersion: given,
      capabilities: { tools: {} },
      serverInfo: { name: 'behind', version: '3' },
    });
    expect(ping.answer.result).toEqual({});
    expect(backend.got).toEqual([]);
  });

  it('sends who it is with each request, and gets no word of the other era', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(request('tools/list', { _meta: { progressToken: 3 } }), client, ear);
    expect(backend.last.request.params).toEqual({
      _meta: {
        progressToken: 3,
        [key('protocolVersion')]: '2026-07-28',
        [key('clientInfo')]: opened.clientInfo,
        [key('clientCapabilities')]: opened.capabilities,
      },
    });
    expect(backend.last.asker.era).toBe('modern');
    backend.answer({
      resultType: 'complete',
      ttlMs: 5,
      cacheScope: 'public',
      tools: [
        { name: 'n', inputSchema: { type: 'object' }, outputSchema: { type: 'array', items: { $ref: '#/$defs/x' } } },
      ],
      _meta: { [key('serverInfo')]: { name: 'behind', version: '3' } },
    });
    expect(ear.answer.result).toEqual({
      tools: [
        {
          name: 'n',
          inputSchema: { type: 'object' },
          outputSchema: {
            type: 'object',
            properties: { result: { type: 'array', items: { $ref: '#/properties/result/$defs/x' } } },
            required: ['result'],
          },
        },
      ],
    });
  });

  it('gets an output that is no object inside one', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(call, client, ear);
    backend.answer({ resultType: 'complete', content: [], structuredContent: [1, 2] });
    expect(ear.answer.result).toEqual({
      content: [{ type: 'text', text: '[1,2]' }],
      structuredContent: { result: [1, 2] },
    });
  });

  it('sets a level that goes along with its requests', async () => {
    const { backend, face } = behind({ logging: {} });
    const [set, wrong] = [new Ear(), new Ear()];
    face.request(request('logging/setLevel', { level: 'warning' }), client, set);
    face.request(request('logging/setLevel', { level: 'loud' }), client, wrong);
    await settled();
    expect(set.answer.result).toEqual({});
    expect(wrong.answer.error?.['code']).toBe(-32_602);
    face.request(call, client, new Ear());
    expect(backend.last.request.params['_meta']).toMatchObject({ [key('logLevel')]: 'warning' });
    face.request(call, asker('legacy', { session: 'other', opened }), new Ear());
    expect(backend.last.request.params['_meta']).not.toHaveProperty([key('logLevel')]);
  });

  it('subscribes, and is told for as long as its session lasts', async () => {
    const { backend, face, told } = behind({ resources: { subscribe: true } });
    const ear = new Ear();
    face.request(request('resources/subscribe', { uri: 'file:///x' }), client, ear);
    const [first] = backend.got;
    expect(first?.request.params['notifications']).toEqual({ resourceSubscriptions: ['file:///x'] });
    first?.hearer.onMessage(
      JsonRpcMessage.notification('notifications/subscriptions/acknowledged', { notifications: {} }),
    );
    await settled();
    expect(ear.answer.result).toEqual({});
    const _meta = { [key('subscriptionId')]: 'listen-1' };
    first?.hearer.onMessage(
      JsonRpcMessage.notification('notifications/resources/updated', { uri: 'file:///x', _meta }),
    );
    expect(told.map(([message, session]) => [message.value, session])).toEqual([
      [{ jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'file:///x' } }, 's'],
    ]);
    face.request(request('resources/subscribe', { uri: 'file:///y' }), client, new Ear());
    expect(first?.cancelled).toBeUndefined();
    backend.last.hearer.onMessage(
      JsonRpcMessage.notification('notifications/subscriptions/acknowledged', { notifications: {} }),
    );
    expect(first?.cancelled).toBe(true);
    face.forget('s');
    expect(backend.last.cancelled).toBe(true);
  });
});

describe('input that a modern server requires', () => {
  it('is asked of the legacy client, and the call is made again with the answers', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(call, client, ear);
    backend.answer({ resultType: 'input_required', inputRequests: { a: confirm, b: sample }, requestState: 'S' });
    expect(ear.messages.map(({ kind, method, params }) => [kind, method, params])).toEqual([
      ['request', confirm.method, confirm.params],
      ['request', sample.method, sample.params],
    ]);
    const [first, second] = ear.messages.map(({ id }) => id as string);
    face.respond(
      JsonRpcMessage.result(second ?? '', { role: 'assistant', content: { type: 'text', text: 'hm' }, model: 'm' }),
      client,
    );
    expect(backend.got).toHaveLength(1);
    // Nobody else can answer.
    face.respond(
      JsonRpcMessage.result(first ?? '', { action: 'accept' }),
      asker('legacy', { session: 's', user: 'eve' }),
    );
    face.respond(JsonRpcMessage.result(first ?? '', { action: 'accept' }), asker('legacy', { session: 'other' }));
    expect(backend.got).toHaveLength(1);
    face.respond(JsonRpcMessage.result(first ?? '', { action: 'decline' }), client);
    expect(backend.last.request.params).toMatchObject({
      name: 'wipe',
      arguments: { a: 1 },
      inputResponses: { a: { action: 'decline' }, b: { model: 'm' } },
      requestState: 'S',
    });
    backend.answer({ resultType: 'complete', content: [] });
    expect(ear.answer).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [] } });
  });

  it.each([
    ['the client has no session', asker('legacy'), { a: confirm }, 'takes a session'],
    ['the client can not answer', client, { a: { method: 'roots/list' } }, 'has not declared'],
    ['it is of no known kind', client, { a: { method: 'tools/call' } }, 'of no known kind'],
    ['there is none', client, {}, 'did not say for what'],
  ])('fails the call when %s', (_, by, inputRequests, text) => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(call, by, ear);
    backend.answer({ resultType: 'input_required', inputRequests });
    expect(ear.answer.result).toMatchObject({ isError: true, content: [{ text: expect.stringContaining(text) }] });
    expect(ear.messages).toEqual([]);
  });

  it('fails the call when the client answers with an error; a prompt fails as the protocol has it', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    face.request(request('prompts/get', { name: 'p' }), client, ear);
    backend.answer({ resultType: 'input_required', inputRequests: { a: confirm } });
    face.respond(JsonRpcMessage.error(ear.messages[0]?.id as string, -1, 'I will not'), client);
    expect(ear.answer.error).toMatchObject({ code: -32_603, message: expect.stringContaining('I will not') });
  });

  it('does not outlive the call', () => {
    const { backend, face } = behind();
    const ear = new Ear();
    const pending = face.request(call, client, ear);
    backend.answer({ resultType: 'input_required', inputRequests: { a: confirm } });
    pending.cancel();
    face.respond(JsonRpcMessage.result(ear.messages[0]?.id as string, { action: 'accept' }), client);
    expect([backend.got.length, ear.answers.length]).toEqual([1, 0]);
  });
});
