import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { openPolicy } from '../../../../src/lib/app/policy/open.ts';
import { toolHooksSchema } from '../../../../src/lib/domain/mcp/index.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { governedServer } from '../../../helpers/governed-server.ts';
import { openTestGateway, type Reply, serverConfig, type TestGateway } from './gateway.ts';

const githubToken = `ghp_${'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'}`;
const program = join(import.meta.dirname, '../../../fixtures/mcp/tasks.mjs');

let test: TestGateway;

beforeAll(async () => {
  const hooks = toolHooksSchema.parse([
    { type: 'secrets', name: 'blank', tools: 'task|stream_says', on: ['output'], action: 'redact' },
    { type: 'secrets', name: 'hold', tools: 'task_modern|stream_then_slow', on: ['output'] },
    { type: 'deny', name: 'never', tools: 'html' },
  ]);
  const scoped = new Map([['structured', { scopes: ['admin'], secret: new Set<string>() }]]);
  test = await openTestGateway({
    servers: [serverConfig({ hooks, tools: scoped }), serverConfig({ name: 'beta' }), team],
    policy: async (_, servers) => ({
      policy: await openPolicy({
        hooks: [],
        servers,
        root: import.meta.dirname,
        secrets: { require: async () => '' },
        quotas: { take: async () => undefined } as never,
        approvals: undefined as never,
      }),
    }),
    catalogued: true,
  });
});
afterAll(() => test.close());
afterEach(() => expect(test.unhandled).toEqual([]));

const team = serverConfig({
  name: 'team',
  kind: 'virtual',
  port: undefined,
  module: '',
  virtual: { targets: [{ server: 'alpha', prefix: 'a_', tools: '*' }] },
});

interface State {
  taskId: string;
  status?: string;
  result?: { content: { text: string }[] };
}

const begin = async (name: string, args: object = {}, server = 'alpha', bearer = test.bearer) => {
  const params = { name, arguments: args, task: { ttl: 60_000 } };
  const reply = await send('tools/call', params, server, bearer);
  const result = (reply.json.result ?? {}) as unknown as { task?: State } & State;
  return { reply, task: result.task ?? result };
};
const send = (method: string, params: object, server = 'alpha', bearer = test.bearer): Promise<Reply> =>
  test.send(
    JSON.stringify({ jsonrpc: '2.0', id: 7, method, params }),
    { authorization: `Bearer ${bearer}` },
    'POST',
    `/api/v1/mcp/${server}/mcp`,
  );
const stateIn = (reply: Reply) => reply.json.result as unknown as State;

it('is one call with one intent and one outcome, which says that a task was begun', async () => {
  const { reply, task } = await begin('task', { text: 'plain' });
  expect(task).toMatchObject({ status: 'working', ttl: 60_000 });
  expect(task.taskId).not.toContain('task-');
  const row = await test.rowOf(reply);
  expect(row).toMatchObject({ tool: 'task', status: 'success', decision: 'allowed' });
  expect(row.answer_policy).toMatchObject({ task: { id: expect.stringMatching(/^task-\d+$/), status: 'working' } });
  const got = await send('tasks/get', { taskId: task.taskId });
  expect(stateIn(got)).toEqual({ taskId: task.taskId, status: 'completed', ttl: 60_000 });
  expect(got.headers['x-systemprompt-execution-id']).toBeUndefined();
  const result = await send('tasks/result', { taskId: task.taskId });
  expect(result.json.result).toMatchObject({
    content: [{ text: 'plain' }],
    _meta: { 'io.modelcontextprotocol/related-task': { taskId: task.taskId } },
  });
  // That it was given is on record, with the call that it belongs to.
  expect(await test.rowOf(result)).toMatchObject({
    tool: 'task',
    status: 'success',
    input: { task_of: row.execution_id },
    output_bytes: expect.any(Number) as number,
  });
  expect(stateIn(await send('tasks/cancel', { taskId: task.taskId }))).toMatchObject({ status: 'cancelled' });
});

it('is looked at by the rules when its result is fetched, whichever way it comes', async () => {
  const { task } = await begin('task', { text: `the key is ${githubToken}` });
  const result = await send('tasks/result', { taskId: task.taskId });
  expect(result.body).not.toContain(githubToken);
  expect(result.json.result?.content?.[0]?.text).toMatch(/^the key is /);
  expect((await test.rowOf(result)).answer_policy?.said).toMatchObject([{ by: 'blank', verdict: 'redact' }]);
  const inline = await send('tasks/get', { taskId: task.taskId, inline: true });
  expect(inline.body).not.toContain(githubToken);
  expect(stateIn(inline).status).toBe('completed');
  expect(await test.rowOf(inline)).toMatchObject({ status: 'success' });

  const modern = await begin('task_modern', { text: githubToken });
  expect(modern.task).toMatchObject({ resultType: 'task', status: 'working' });
  for (const held of [
    await send('tasks/get', { taskId: modern.task.taskId, inline: true }),
    await send('tasks/result', { taskId: modern.task.taskId }),
  ]) {
    expect(held.status).toBe(200);
    expect(held.json.error).toMatchObject({ message: expect.stringContaining('held back by hold') as string });
    expect(held.body).not.toContain(githubToken);
    expect(await test.rowOf(held)).toMatchObject({ status: 'failed' });
  }
  const broken = await begin('task', { text: 'it broke', isError: true });
  const failed = await send('tasks/result', { taskId: broken.task.taskId });
  expect(await test.rowOf(failed)).toMatchObject({ status: 'tool_error', error: 'it broke' });
});

it('is only for who began it, where they did', async () => {
  const { task } = await begin('task', { text: 'mine' });
  const id = randomUUID() as UserId;
  await test.owner.query("INSERT INTO users (id, name, display_name, roles) VALUES ($1, 'eve', 'Eve', '{user}')", [id]);
  const { id: sessionId } = await test.identity.sessions.begin({ userId: id, client: 'test', ttlSeconds: 600 });
  const user = { id, name: 'eve', status: 'active', roles: ['user'], accessVersion: 1 } as never;
  const strange = [
    send('tasks/get', { taskId: 'task-1' }),
    send('tasks/result', { taskId: `${task.taskId}x` }),
    send('tasks/get', {}),
    send('tasks/result', { taskId: task.taskId }, 'beta', await test.token({ server: 'beta' })),
    send('tasks/result', { taskId: task.taskId }, 'team', await test.token({ server: 'team' })),
    send('tasks/result', { taskId: task.taskId }, 'alpha', await test.token({ client: 'another' })),
    send('tasks/result', { taskId: task.taskId }, 'alpha', await test.token({ user, sessionId })),
  ];
  await test.seen();
  for (const reply of await Promise.all(strange)) {
    expect(reply.json.error).toMatchObject({ code: -32602, message: 'There is no such task' });
  }
  for (const method of ['tasks/list', 'tasks/subscribe'])
    expect((await send(method, {})).json.error).toMatchObject({ code: -32601 });
  const silent = await test.send(
    JSON.stringify({ jsonrpc: '2.0', method: 'tasks/cancel', params: { taskId: 'task-1' } }),
  );
  expect(silent.status).toBe(202);
  expect((await test.seen()).requests).toEqual([]);
});

it('is refused where the call would be', async () => {
  expect((await begin('html')).reply.json.error?.message).toContain('never');
  expect((await begin('structured')).reply.status).toBe(403);
  const odd = await send('tools/call', { name: 'echo', arguments: {}, task: true });
  expect(odd.json.error).toMatchObject({ code: -32602 });
});

it('is begun through a virtual server, and asked for there', async () => {
  const bearer = await test.token({ server: 'team' });
  const { reply, task } = await begin('a_task', { text: 'virtual' }, 'team', bearer);
  expect(await test.rowOf(reply)).toMatchObject({ tool: 'task', via: 'team' });
  const result = await send('tasks/result', { taskId: task.taskId }, 'team', bearer);
  expect(result.json.result?.content?.[0]?.text).toBe('virtual');
  expect(await test.rowOf(result)).toMatchObject({ tool: 'task', via: 'team' });
  expect((await send('tasks/result', { taskId: task.taskId })).json.error?.code).toBe(-32602);
});

it('tells of no task by a subscription, and by no stream', async () => {
  await test.seen();
  await send('subscriptions/listen', { notifications: { taskIds: ['task-1'], toolsListChanged: true } });
  const [listen] = (await test.seen()).requests;
  expect(JSON.parse(listen?.body ?? '{}')).toMatchObject({ params: { notifications: { toolsListChanged: true } } });
  expect(listen?.body).not.toContain('taskIds');
  const escaped = `{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{"task\\u0049ds":["task-1"]}}}`;
  await test.send(escaped, { authorization: `Bearer ${test.bearer}` }, 'POST', '/api/v1/mcp/alpha/mcp');
  const [again] = (await test.seen()).requests;
  expect(JSON.parse(again?.body ?? '{}')).toMatchObject({ params: { notifications: {} } });
  expect(JSON.parse(again?.body ?? '{}').params.notifications).not.toHaveProperty('taskIds');
  expect((await test.call('stream_says', { says: 'hello' })).body).not.toContain('notifications/tasks');
});

it('looks over what a server says before its answer where a rule looks at answers', async () => {
  const reply = await test.call('stream_says', { says: { token: `it is ${githubToken}` } });
  expect(reply.body).toMatch(/^id: 1\nevent: message\ndata: \{/);
  expect(reply.body).toContain('it is ');
  expect(reply.body).not.toContain(githubToken);
  expect(reply.json.result?.content?.[0]?.text).toBe('done');
  const rows = await test.rowsOf();
  expect(rows.at(-1)?.answer_policy?.said).toMatchObject([
    { by: 'blank', verdict: 'redact', reason: expect.stringContaining('on the way') as string },
  ]);
});

it('works with tasks of a real server and a real client, who is asked on the way', { timeout: 30_000 }, async () => {
  await using governed = await governedServer({ program: process.execPath, args: [program], idleStopMs: 100 });
  const client = new Client({ name: 'tasks', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { name: 'Ada' } }));
  await client.connect(new StreamableHTTPClientTransport(governed.url) as never);
  const { tools } = await client.listTools();
  expect(tools.map(({ execution }) => execution)).toEqual([{ taskSupport: 'required' }, { taskSupport: 'required' }]);
  expect(client.getServerCapabilities()?.tasks).toEqual({ cancel: {}, requests: { tools: { call: {} } } });
  const run = async (name: string) => {
    const seen: string[] = [];
    for await (const message of client.experimental.tasks.callToolStream({ name, arguments: {} })) {
      seen.push(message.type === 'result' ? JSON.stringify(message.result.content) : message.type);
    }
    return seen;
  };
  // Longer at work than an instance may have nothing to do.
  const delayed = await run('delay');
  expect(delayed[0]).toBe('taskCreated');
  expect(delayed.at(-1)).toContain('done');
  expect((await run('ask')).at(-1)).toContain('Hello Ada');
  await client.close();
  const rows = await governed.gateway.rowsOf();
  expect(rows.filter(({ answer_policy: policy }) => policy !== null && 'task' in policy)).toHaveLength(2);
  expect(rows).toHaveLength(4);
});
