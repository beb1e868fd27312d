import { join } from 'node:path';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toConnectionUrl } from '../../../src/lib/infra/database/connection-url.ts';
import { createTestDatabase, type TestDatabase } from '../../helpers/database.ts';
import { type McpChild, startMcpChild } from '../../helpers/mcp-child.ts';

const extension = join(import.meta.dirname, '../../fixtures/extensions/face.mjs');
let server: McpChild;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  server = await startMcpChild({
    extension,
    name: 'face',
    env: {
      DATABASE_URL: toConnectionUrl(database.owner),
      API_KEY: 'value-of-the-key',
      SYSTEMPROMPT_VARIABLES: 'API_KEY,UNSET',
      UNDECLARED: 'not for the tool',
    },
  });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await database?.drop();
});

const trace = '0af7651916cd43dd8448eb211c80319c';
const routed: typeof fetch = (input, init) => {
  const headers = new Headers(init?.headers);
  for (const [name, value] of Object.entries(server.headers())) headers.set(name, value);
  headers.set('traceparent', `00-${trace}-b7ad6b7169203331-01`);
  return fetch(input, { ...init, headers });
};

type Answering = (method: string, params: Record<string, unknown>) => Record<string, unknown>;

/** As much of either client as both have. */
type Peer = Pick<
  Client,
  | 'listTools'
  | 'callTool'
  | 'listPrompts'
  | 'getPrompt'
  | 'listResources'
  | 'listResourceTemplates'
  | 'readResource'
  | 'complete'
  | 'getServerCapabilities'
  | 'close'
>;

const able = { elicitation: { form: {}, url: {} }, sampling: {} };

async function first(answer: Answering | undefined): Promise<Peer> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: answer === undefined ? {} : able });
  if (answer !== undefined) {
    client.setRequestHandler(ElicitRequestSchema, (request) => answer(request.method, request.params) as never);
    client.setRequestHandler(CreateMessageRequestSchema, (request) => answer(request.method, request.params) as never);
  }
  await client.connect(new StreamableHTTPClientTransport(new URL(`${server.origin}/mcp`), { fetch: routed }) as never);
  return client;
}

async function second(mode: 'auto' | 'legacy', answer: Answering | undefined): Promise<Peer> {
  const capabilities = answer === undefined ? {} : able;
  const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation: { mode }, capabilities });
  if (answer !== undefined) {
    client.setRequestHandler('elicitation/create', ({ method, params }) => answer(method, params as never) as never);
    client.setRequestHandler(
      'sampling/createMessage',
      ({ method, params }) => answer(method, params as never) as never,
    );
  }
  await client.connect(new ModernTransport(new URL(`${server.origin}/mcp`), { fetch: routed }));
  return client as unknown as Peer;
}

const peers: readonly (readonly [string, (answer?: Answering) => Promise<Peer>])[] = [
  ['@modelcontextprotocol/sdk 1', (answer) => first(answer)],
  ['@modelcontextprotocol/client 2, 2026-07-28', (answer) => second('auto', answer)],
  ['@modelcontextprotocol/client 2, 2025 revisions', (answer) => second('legacy', answer)],
];

const text = (result: unknown): string => (result as { content: { text: string }[] }).content[0]?.text ?? '';

describe.each(peers)('with %s', (label, connect) => {
  it('offers prompts, with arguments that are checked and completed', async () => {
    const peer = await connect();
    expect(peer.getServerCapabilities()).toMatchObject({ prompts: {}, resources: {}, completions: {}, tools: {} });
    const { prompts } = await peer.listPrompts();
    expect(prompts).toMatchObject([
      {
        name: 'review',
        title: 'Review a note',
        arguments: [
          { name: 'note', description: 'Which note', required: true },
          { name: 'depth', required: false },
        ],
      },
      { name: 'hello' },
    ]);
    const got = await peer.getPrompt({ name: 'review', arguments: { note: 'one', depth: '2' } });
    expect(got.messages).toMatchObject([
      { role: 'user', content: { type: 'text', text: 'Review "The first note" 2 times for owner' } },
      { role: 'assistant', content: { text: 'I will.' } },
    ]);
    expect((await peer.getPrompt({ name: 'hello' })).messages).toMatchObject([
      { role: 'user', content: { text: 'Say hello.' } },
    ]);
    await expect(peer.getPrompt({ name: 'review', arguments: { note: 'none' } })).rejects.toMatchObject({
      code: -32602,
    });
    await expect(peer.getPrompt({ name: 'nope' })).rejects.toMatchObject({ code: -32602 });
    const prompt = await peer.complete({
      ref: { type: 'ref/prompt', name: 'review' },
      argument: { name: 'note', value: 'tw' },
    });
    expect(prompt.completion).toMatchObject({ values: ['two words'] });
    const variable = await peer.complete({
      ref: { type: 'ref/resource', uri: 'notes://note/{name}' },
      argument: { name: 'name', value: 'x' },
      context: { arguments: { other: '1' } },
    });
    expect(variable.completion.values).toEqual(['x-1']);
    await peer.close();
  });

  it('offers resources and those of templates, as text, JSON and bytes', async () => {
    const peer = await connect();
    const { resources } = await peer.listResources();
    expect(resources.map(({ uri }) => uri)).toEqual([
      'notes://all',
      'notes://bytes',
      'notes://broken',
      'ui://face/board',
      'ui://systemprompt/artifact',
      'notes://note/one',
      'notes://note/two%20words',
    ]);
    expect((await peer.listResourceTemplates()).resourceTemplates).toMatchObject([
      { uriTemplate: 'notes://note/{name}', name: 'note', mimeType: 'text/markdown' },
    ]);
    const read = async (uri: string) => (await peer.readResource({ uri })).contents[0];
    expect(await read('notes://note/two%20words')).toMatchObject({
      mimeType: 'text/markdown',
      text: 'The second note',
    });
    expect(JSON.parse(((await read('notes://all')) as { text: string }).text)).toHaveProperty('one');
    expect(await read('notes://bytes')).toMatchObject({ mimeType: 'image/png', blob: 'AQI=' });
    await expect(read('notes://note/none')).rejects.toMatchObject({ code: -32602 });
    await expect(read('elsewhere://x')).rejects.toMatchObject({ code: -32602 });
    await expect(read('notes://note/locked')).rejects.toThrow(/NOT_FOUND: Somebody has it\nTry another/);
    await expect(read('notes://broken')).rejects.toThrow(/INTERNAL: The server failed/);
    expect(server.output()).toContain('canary-secret');
    await expect(read('notes://broken')).rejects.not.toThrow(/canary/);
    await peer.close();
  });

  it('offers pages of MCP Apps: its own with what it may reach, and ours for artifacts', async () => {
    const peer = await connect();
    const chart = (await peer.listTools()).tools.find(({ name }) => name === 'chart');
    expect(chart?._meta).toEqual({
      ui: { resourceUri: 'ui://systemprompt/artifact' },
      'ui/resourceUri': 'ui://systemprompt/artifact',
    });
    expect(peer.getServerCapabilities()).toMatchObject(
      label.includes('sdk 1') ? {} : { extensions: { 'io.modelcontextprotocol/ui': {} } },
    );
    const [page] = (await peer.readResource({ uri: 'ui://systemprompt/artifact' })).contents;
    expect(page).toMatchObject({
      mimeType: 'text/html;profile=mcp-app',
      text: expect.stringContaining('ui/initialize'),
    });
    const [board] = (await peer.readResource({ uri: 'ui://face/board' })).contents;
    expect(board?._meta).toEqual({ ui: { csp: { connectDomains: ['https://x.example'] } } });
    await peer.close();
  });

  it('asks the person in front of the client, in as many rounds as it takes', async () => {
    const asked: string[] = [];
    const peer = await connect((_method, params) => {
      asked.push(String(params['message']));
      return { action: 'accept', content: asked.length === 1 ? { count: 3 } : { yes: true } };
    });
    const result = await peer.callTool({ name: 'order', arguments: { what: 'tea' } });
    expect(text(result)).toContain('ordered 3 tea');
    expect(asked).toEqual(['How much tea?', 'Sure?']);
    await peer.close();
  });

  it('takes no for an answer, and no nonsense', async () => {
    const declining = await connect(() => ({ action: 'decline' }));
    expect(text(await declining.callTool({ name: 'order', arguments: { what: 'tea' } }))).toContain(
      'not ordered: decline',
    );
    await declining.close();
    const wrong = await connect(() => ({ action: 'accept', content: { count: 0 } }));
    const refused = await wrong
      .callTool({ name: 'order', arguments: { what: 'tea' } })
      .catch((error: Error) => ({ isError: true, content: [{ text: error.message }] }));
    expect(refused).toMatchObject({ isError: true });
    await wrong.close();
  });

  it('has a page opened', async () => {
    const asked: unknown[] = [];
    const peer = await connect((_, params) => {
      asked.push(params);
      return { action: 'accept' };
    });
    const pay = (throws: boolean) => peer.callTool({ name: 'pay', arguments: { throws } });
    expect(text(await pay(false))).toBe('page: accept');
    expect(asked).toMatchObject([{ mode: 'url', message: 'Please pay first.', url: 'https://pay.example/1' }]);
    if (label.includes('2026')) {
      // It was opened; the tool is not content yet.
      expect(await pay(true)).toMatchObject({
        isError: true,
        _meta: { 'systemprompt/error': { code: 'PRECONDITION' } },
      });
      expect(asked).toHaveLength(2);
    } else {
      await expect(pay(true)).rejects.toMatchObject({
        code: -32_042,
        data: {
          elicitations: [{ mode: 'url', url: 'https://pay.example/1', elicitationId: expect.any(String) as string }],
        },
      });
    }
    await peer.close();
  });

  it('asks the model of the client', async () => {
    const peer = await connect(() => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'short' } }));
    expect(text(await peer.callTool({ name: 'summarise', arguments: {} }))).toBe('m: short');
    await peer.close();
  });

  it('says so when the client can neither ask nor lend a model', async () => {
    const peer = await connect();
    for (const [name, args, word] of [
      ['order', { what: 'tea' }, 'elicitation'],
      ['summarise', {}, 'sampling'],
    ] as const) {
      const refused = await peer.callTool({ name, arguments: args });
      expect(refused).toMatchObject({ isError: true, _meta: { 'systemprompt/error': { code: 'PRECONDITION' } } });
      expect(text(refused)).toContain(word);
    }
    await peer.close();
  });

  it('gives tools their declared variables and no others, the trace and the database', async () => {
    const peer = await connect();
    const call = (name: string, args = {}) => peer.callTool({ name, arguments: args });
    const key = await call('variables', { name: 'API_KEY' });
    expect(key.structuredContent).toMatchObject({ data: { trace } });
    for (const name of ['UNDECLARED', 'UNSET']) {
      const refused = await call('variables', { name });
      expect(refused).toMatchObject({ isError: true, _meta: { 'systemprompt/error': { code: 'PRECONDITION' } } });
      expect(text(refused)).toContain(`cloud secrets set ${name}`);
    }
    expect((await call('count')).structuredContent).toMatchObject({ content: '42', data: { inside: 'public' } });
    await peer.close();
  });
});

describe('what a client carries between rounds', () => {
  it('is good for the same call of the same sign-in alone', async () => {
    const post = async (
      params: object,
      identity = {},
    ): Promise<{ result?: Record<string, unknown>; error?: { message: string } }> => {
      const meta = {
        'io.modelcontextprotocol/protocolVersion': '2026-07-28',
        'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': able,
      };
      const response = await fetch(`${server.origin}/mcp`, {
        method: 'POST',
        headers: {
          ...server.headers(identity),
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2026-07-28',
          'mcp-method': 'tools/call',
          'mcp-name': 'order',
        },
        body: JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'tools/call',
          params: { name: 'order', ...params, _meta: meta },
        }),
      });
      const body = await response.text();
      return JSON.parse(body.startsWith('{') ? body : (/^data: (\{.*\})$/m.exec(body)?.[1] ?? '{}'));
    };
    const asked = await post({ arguments: { what: 'tea' } });
    expect(asked.result).toMatchObject({
      resultType: 'input_required',
      inputRequests: { q1: { method: 'elicitation/create' } },
    });
    const answered = {
      requestState: asked.result?.['requestState'],
      inputResponses: { q1: { action: 'accept', content: { count: 1 } } },
    };
    expect((await post({ arguments: { what: 'tea' }, ...answered })).result).toMatchObject({
      inputRequests: { q2: {} },
    });
    expect((await post({ arguments: { what: 'coffee' }, ...answered })).result).toMatchObject({ isError: true });
    expect((await post({ arguments: { what: 'tea' }, ...answered }, { sub: 'user-2' })).error?.message).toMatch(
      /requestState/,
    );
  });
});
