import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renameCall } from '../../../../src/lib/app/router/rename-call.ts';
import { type GovernedServer, governedServer } from '../../../helpers/governed-server.ts';
import { until } from '../../../helpers/until.ts';
import { startToolServer, type ToolServer, tool } from '../catalogue/tool-server.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

const virtual = (name: string, targets: { server: string; prefix?: string; tools?: unknown }[], scopes = ['user']) =>
  serverConfig({
    name,
    kind: 'virtual',
    port: undefined,
    module: '',
    description: `Tools of ${name}.`,
    oauth: { required: true, scopes },
    virtual: { targets: targets.map((target) => ({ prefix: '', tools: '*', ...target })) as never },
  });
const servers = [
  serverConfig({ name: 'files', tools: new Map([['wipe', { scopes: ['admin'], secret: new Set<string>() }]]) }),
  serverConfig({ name: 'notes', toolPolicy: 'review' }),
  serverConfig({ name: 'dead', port: 5_003 }),
  serverConfig({
    name: 'mine',
    kind: 'stdio',
    process: { instances: 'user', idleStopMs: 0, startTimeoutMs: 1_000, userVariables: [] },
  }),
  virtual('ours', [{ server: 'mine', prefix: 'm_' }]),
  virtual('alpha', [
    { server: 'files', prefix: 'fs_' },
    { server: 'notes' },
    { server: 'dead', prefix: 'd_' },
    {
      server: 'files',
      tools: [
        { tool: 'read', as: 'open', description: 'Opens a file.' },
        { tool: 'write', as: 'fs_read' },
      ],
    },
  ]),
  virtual('empty', [{ server: 'dead' }]),
  virtual('locked', [{ server: 'notes' }]),
  virtual('vip', [{ server: 'files' }], ['admin']),
];
let test: TestGateway;
let files: ToolServer;
let notes: ToolServer;
let mine: ToolServer;

beforeAll(async () => {
  files = await startToolServer([tool('read', { _meta: { 'ui/resourceUri': 'ui://x' } }), tool('write'), tool('wipe')]);
  notes = await startToolServer([tool('note')]);
  mine = await startToolServer([tool('own')]);
  test = await openTestGateway({
    servers,
    catalogued: true,
    ports: { files: files.port, notes: notes.port, mine: mine.port, dead: 1 },
  });
  test.endpoints.delete('mcp:dead');
  await until(
    'the tools are known',
    () => test.catalogue?.find('files', 'wipe') && test.catalogue.find('notes', 'note'),
  );
});
afterAll(async () => {
  await test?.close();
  files?.close();
  notes?.close();
  mine?.close();
});

const rpc = async (
  method: string,
  params: unknown = {},
  { server = 'alpha', headers = {}, scopes = ['user'], id = 1 as unknown } = {},
) =>
  test.send(
    JSON.stringify({ jsonrpc: '2.0', ...(id === null ? {} : { id }), method, params }),
    { authorization: `Bearer ${await test.token({ server, scopes })}`, ...headers },
    'POST',
    `/api/v1/mcp/${server}/mcp`,
  );
const meta = (version = '2026-07-28') => ({
  _meta: {
    'io.modelcontextprotocol/protocolVersion': version,
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  },
});
const toolsOf = (reply: Awaited<ReturnType<typeof rpc>>) =>
  (reply.json.result as unknown as { tools: { name: string }[] }).tools;

describe('a virtual server', () => {
  it('answers a client of the legacy era by itself', async () => {
    const hello = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
    const begun = await rpc('initialize', hello);
    expect(begun.json.result).toMatchObject({
      protocolVersion: '2025-06-18',
      capabilities: { tools: { listChanged: false } },
      serverInfo: { name: 'alpha' },
      instructions: 'Tools of alpha.',
    });
    expect(begun.headers).toHaveProperty('mcp-session-id');
    expect((await rpc('notifications/initialized', {}, { id: null })).status).toBe(202);
    expect((await rpc('ping')).json).toEqual({ jsonrpc: '2.0', id: 1, result: {} });
    expect((await rpc('prompts/list')).json.error?.code).toBe(-32_601);
    const path = '/api/v1/mcp/alpha/mcp';
    expect((await test.send('', {}, 'GET', path)).status).toBe(405);
    const session = { 'mcp-session-id': String(begun.headers['mcp-session-id']) };
    expect((await rpc('ping', {}, { headers: session })).status).toBe(200);
    expect((await test.send('', session, 'DELETE', path)).status).toBe(204);
    for (const over of [session, { 'mcp-session-id': `${session['mcp-session-id']}x` }]) {
      expect((await rpc('ping', {}, { headers: over })).status).toBe(404);
      expect((await test.send('', over, 'DELETE', path)).status).toBe(404);
    }
  });

  it('answers a client of the modern era by itself', async () => {
    const found = await rpc('server/discover', meta());
    expect(found.json.result).toMatchObject({
      supportedVersions: expect.arrayContaining(['2026-07-28']),
      resultType: 'complete',
      _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'alpha' } },
    });
    expect((await rpc('tools/list', meta())).json.result).toMatchObject({
      resultType: 'complete',
      cacheScope: 'private',
    });
    expect(await rpc('ping', meta())).toMatchObject({ status: 404, json: { error: { code: -32_601 } } });
    expect(await rpc('tools/list', meta('2031-01-01'))).toMatchObject({
      status: 400,
      json: { error: { code: -32_022 } },
    });
    const headers = { 'mcp-protocol-version': '2025-11-25' };
    expect(await rpc('tools/list', meta(), { headers })).toMatchObject({
      status: 400,
      json: { error: { code: -32_020 } },
    });
  });

  it('lists what this caller may call: renamed, the first of a name, nothing held, nothing of what is down', async () => {
    const tools = toolsOf(await rpc('tools/list'));
    expect(tools.map(({ name }) => name)).toEqual(['fs_read', 'fs_write', 'open']);
    expect(tools.find(({ name }) => name === 'open')).toEqual({
      ...tool('read'),
      name: 'open',
      description: 'Opens a file.',
    });
    const all = toolsOf(await rpc('tools/list', {}, { scopes: ['admin'] }));
    expect(all.map(({ name }) => name)).toContain('fs_wipe');
  });

  it('hands a call on under the name that the target knows, and every other byte as it came', async () => {
    const body = `{ "params" : {"_meta":${JSON.stringify(meta()._meta)}, "n\\u0061me":"open", "arguments": {"name":"open","n": 1.0} },"method":"tools/call","id":9,"jsonrpc":"2.0"}`;
    const reply = await test.send(body, { 'mcp-name': 'open', 'mcp-method': 'tools/call' });
    expect(reply.json.result?.content?.[0]?.text).toBe('ran read');
    expect(files.requests.at(-1)?.body).toBe(body.replace('"n\\u0061me":"open"', '"n\\u0061me":"read"'));
    expect(files.requests.at(-1)?.headers['mcp-name']).toBe('read');
    const row = { tool: 'read', server: 'files', via: 'alpha', status: 'success' };
    expect(await test.rowOf(reply)).toMatchObject(row);
  });

  it('asks for its own scopes and for those of the target', async () => {
    const vip = await rpc('tools/list', {}, { server: 'vip' });
    expect(vip.status).toBe(403);
    const call = await rpc('tools/call', { name: 'read' }, { server: 'vip' });
    expect(call.json.error?.data).toMatchObject({ missing_scopes: ['admin'] });
    expect(await test.rowOf(call)).toMatchObject({ status: 'refused', tool: 'read' });
    const wipe = await rpc('tools/call', { name: 'fs_wipe' });
    expect(wipe.status).toBe(403);
    expect(wipe.headers['www-authenticate']).toContain('/api/v1/mcp/alpha/mcp');
  });

  it('refuses on record what it does not have, what is held, and what is down', async () => {
    const unknown = await rpc('tools/call', { name: 'nothing' });
    expect(unknown.json.error?.message).toBe('alpha has no tool of that name');
    expect(await test.rowOf(unknown)).toMatchObject({ server: 'alpha', status: 'refused' });
    const held = await rpc('tools/call', { name: 'note' });
    expect(held.json.error?.message).toBe('The tool note of notes has not been approved yet');
    expect(await test.rowOf(held)).toMatchObject({ server: 'notes', status: 'refused' });
    const down = await rpc('tools/call', { name: 'd_anything' });
    expect(down).toMatchObject({ status: 503, json: { error: { data: { code: 'UPSTREAM_UNAVAILABLE' } } } });
  });

  it('says why it has no tools rather than list none', async () => {
    const empty = await rpc('tools/list', {}, { server: 'empty' });
    expect(empty).toMatchObject({
      status: 503,
      json: { error: { message: 'empty has no tools now: dead not running.' } },
    });
    const locked = await rpc('tools/list', {}, { server: 'locked' });
    expect(locked).toMatchObject({
      status: 403,
      json: { error: { data: { next: ['plugins mcp tools notes --diff'] } } },
    });
  });

  it('lets calls through to a target that only users can ask, and asks it in the user’s name for its list', async () => {
    const call = await rpc('tools/call', { name: 'm_own' }, { server: 'ours' });
    expect(call.json.result?.content?.[0]?.text).toBe('ran own');
    expect(await test.rowOf(call)).toMatchObject({ server: 'mine', tool: 'own', via: 'ours' });
    expect(toolsOf(await rpc('tools/list', {}, { server: 'ours' })).map(({ name }) => name)).toEqual(['m_own']);
  });

  it('lists in pages', async () => {
    const before = files.state.tools;
    files.state.tools = Array.from({ length: 450 }, (_, n) => tool(`t${n}`));
    test.endpoints.set('mcp:files', { ...test.endpoints.get('mcp:files'), instanceId: crypto.randomUUID() } as never);
    test.announce();
    await until('they are known', () => test.catalogue?.find('files', 't449') !== undefined);
    const first = (await rpc('tools/list')).json.result as { nextCursor?: string } | undefined;
    expect(first?.nextCursor).toBe('from-200');
    expect(toolsOf(await rpc('tools/list', { cursor: 'from-400' }))).toHaveLength(50);
    expect((await rpc('tools/list', { cursor: 'x' })).json.error?.code).toBe(-32_602);
    files.state.tools = before;
  });
});

it('a name is put into the place of another wherever it stands', () => {
  const at = (text: string) => renameCall(Buffer.from(text), 'é"').toString();
  expect(at('{"params":{"arguments":{"name":"}\\"]"},"name":"a"},"method":"tools/call"}')).toBe(
    '{"params":{"arguments":{"name":"}\\"]"},"name":"é\\""},"method":"tools/call"}',
  );
  expect(at('{"id":[{"params":{"name":"x"}}],\n"params" :\t{ "x":[1,{"name":2}],"name" : "a" }}')).toBe(
    '{"id":[{"params":{"name":"x"}}],\n"params" :\t{ "x":[1,{"name":2}],"name" : "é\\"" }}',
  );
});

describe('a session with a virtual server', () => {
  const program = join(import.meta.dirname, '../../../fixtures/mcp/everything.mjs');
  let governed: GovernedServer;
  beforeAll(async () => {
    const bridged = serverConfig({
      kind: 'stdio',
      process: { instances: 'shared', idleStopMs: 0, startTimeoutMs: 15_000, userVariables: [] },
    });
    const more = { servers: [bridged, virtual('team', [{ server: 'alpha' }])], catalogued: true };
    governed = await governedServer({ program: process.execPath, args: [program, 'legacy', 'stdio'] }, more);
  });
  afterAll(() => governed[Symbol.asyncDispose]());

  it('brings what a target asks to its client, and is on record', { timeout: 30_000 }, async () => {
    const { gateway } = governed;
    const authorization = `Bearer ${await gateway.token({ server: 'team' })}`;
    const capabilities = { elicitation: {}, sampling: {}, roots: {} };
    const client = new Client({ name: 'asked', version: '3' }, { capabilities });
    const asked: string[] = [];
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      asked.push(params.message);
      return { action: 'accept', content: { username: 'ada', email: 'ada@example.com' } };
    });
    client.setRequestHandler(CreateMessageRequestSchema, () => {
      asked.push('sample');
      return { role: 'assistant', model: 'm', content: { type: 'text', text: 'Paris' } };
    });
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [] }));
    const url = new URL(`http://127.0.0.1:${gateway.port}/api/v1/mcp/team/mcp`);
    const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers: { authorization } } });
    await client.connect(transport as never);
    expect(transport.sessionId).toMatch(/_2025-11-25_fsr\./);
    const call = async (name: string, args: Record<string, unknown>) =>
      JSON.stringify((await client.callTool({ name, arguments: args })).content);
    expect(await call('test_elicitation', { message: 'Who are you?' })).toContain('ada');
    expect(await call('test_sampling', { prompt: 'Capital?' })).toContain('Paris');
    expect(asked).toEqual(['Who are you?', 'sample']);
    const sessions = () =>
      gateway.database.query(
        `SELECT server, client_name, ended_at IS NOT NULL AS over FROM mcp.sessions ORDER BY server`,
      );
    await gateway.gateway.router.close(0).catch(() => undefined);
    expect(await sessions()).toEqual([
      { server: 'alpha', client_name: 'asked', over: false },
      { server: 'team', client_name: 'asked', over: false },
    ]);
  });
});
