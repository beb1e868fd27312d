import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { decide } from '../../../../src/lib/app/approvals/decide.ts';
import { Approvals } from '../../../../src/lib/app/approvals/desk.ts';
import { openPolicy } from '../../../../src/lib/app/policy/open.ts';
import { forgetApprovals, listApprovals, type ToolApproval } from '../../../../src/lib/domain/governance/index.ts';
import { toolHooksSchema } from '../../../../src/lib/domain/mcp/index.ts';
import { serverConfig } from '../../../helpers/server-config.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, type Reply, type TestGateway } from '../router/gateway.ts';

const hooks = toolHooksSchema.parse([
  { type: 'ask', name: 'ask', tools: 'echo|stream', reason: 'It writes.' },
  { type: 'ask', name: 'four-eyes', tools: 'slow', approver: 'other' },
  { type: 'deny', name: 'no-b', tools: 'echo', arguments: { b: '.' } },
]);
const elicitation = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } };

let test: TestGateway;
let second: Awaited<ReturnType<TestGateway['another']>>;
const desks: Approvals[] = [];

beforeAll(async () => {
  test = await openTestGateway({
    servers: [
      serverConfig({ hooks }),
      serverConfig({
        name: 'team',
        kind: 'virtual',
        port: undefined,
        module: '',
        virtual: { targets: [{ server: 'alpha', prefix: '', tools: '*' }] },
      }),
    ],
    catalogued: true,
    policy: async ({ database }, servers) => {
      const approvals = new Approvals({ database, waitMs: 1500 });
      desks.push(approvals);
      const quotas = { take: async () => undefined };
      const secrets = { require: async () => '' };
      return { approvals, policy: await openPolicy({ hooks: [], servers, root: '/', secrets, quotas, approvals }) };
    },
  });
  second = await test.another();
  const [user] = await test.owner.query<{ id: string }>(
    "INSERT INTO users (name, display_name, roles) VALUES ('grace', 'Grace', '{admin}') RETURNING id",
  );
  admin = { userId: user?.id ?? '', userName: 'grace', through: 'cli' };
});
afterAll(async () => {
  for (const desk of desks) await desk.close();
  await second?.close();
  await test?.close();
});
afterEach(() => expect(test.unhandled).toEqual([]));

let admin: Parameters<typeof decide>[3];
const approve = (id: string, by = admin) => decide(test.database, id, 'approved', by);

/** The approval that a refusal asks for. */
function needed(reply: Reply): string {
  expect(reply.json.error).toMatchObject({ message: expect.stringContaining('needs an approval') });
  return /plugins mcp approvals approve ([0-9a-f-]{36})/.exec(reply.body)?.[1] ?? '';
}

async function row(id: string): Promise<ToolApproval | undefined> {
  return (await listApprovals(test.database, { waiting: false, limit: 100 })).find((approval) => approval.id === id);
}

it('who can’t be asked is told by which command somebody approves; then the very same call is made, once', async () => {
  await test.seen();
  const refused = await test.call('echo', { a: 1, password: 'hunter2-hunter2' });
  expect(refused.status).toBe(200);
  const id = needed(refused);
  expect(await test.rowOf(refused)).toMatchObject({
    status: 'refused',
    policy: { approval: { id, state: 'approval' } },
  });
  // The same call asks no second time.
  expect(needed(await test.call('echo', { password: 'hunter2-hunter2', a: 1 }))).toBe(id);
  expect(await row(id)).toMatchObject({
    state: 'waiting',
    input: { a: 1, password: '[redacted]' },
    reason: 'It writes.',
  });
  await approve(id);
  // Another argument, another client: not what was approved.
  expect(needed(await test.call('echo', { a: 2, password: 'hunter2-hunter2' }))).not.toBe(id);
  const other = { authorization: `Bearer ${await test.token({ client: 'other' })}` };
  expect(needed(await test.call('echo', { a: 1, password: 'hunter2-hunter2' }, other))).not.toBe(id);
  expect((await test.seen()).requests).toHaveLength(0);

  const made = await test.call('echo', { a: 1, password: 'hunter2-hunter2' });
  expect(made.json.result).toBeDefined();
  const { execution_id: executionId, policy } = await test.rowOf(made);
  expect(policy).toMatchObject({ approval: { id, state: 'approved', by: 'grace' } });
  expect(await row(id)).toMatchObject({ state: 'used', executionId });
  expect(needed(await test.call('echo', { a: 1, password: 'hunter2-hunter2' }))).not.toBe(id);
  const events = await test.database.query(
    "SELECT type, data->>'approval' AS id FROM identity_events WHERE data->>'approval' = $1",
    [id],
  );
  expect(events).toEqual([{ type: 'call_approved', id }]);
});

it('an approval that two calls want is used by one of them', async () => {
  await approve(needed(await test.call('echo', { race: 1 })));
  const replies = await Promise.all(Array.from({ length: 6 }, () => test.call('echo', { race: 1 })));
  expect(replies.filter(({ json }) => json.result !== undefined)).toHaveLength(1);
});

it('what was approved is what is sent, also where the caller wrote what no double holds', async () => {
  const body = (amount: string) =>
    `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"amount":${amount}}}}`;
  await approve(needed(await test.send(body('9007199254740992'))));
  await test.seen();
  expect((await test.send(body('9007199254740993'))).json.result).toBeDefined();
  expect((await test.seen()).requests.at(-1)?.body).toContain('"amount":9007199254740992');
});

it('what a rule refuses nobody can approve, and what was denied or has expired is not made', async () => {
  expect((await test.call('echo', { b: 1 })).json.error?.message).toMatch(/^Refused by no-b/);
  const denied = needed(await test.call('echo', { c: 1 }));
  await decide(test.database, denied, 'denied', admin);
  await expect(approve(denied)).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(needed(await test.call('echo', { c: 1 }))).not.toBe(denied);
  const late = needed(await test.call('echo', { d: 1 }));
  await approve(late);
  await test.owner.query("UPDATE tool_approvals SET expires_at = now() - interval '1 s' WHERE id = $1", [late]);
  expect(needed(await test.call('echo', { d: 1 }))).not.toBe(late);
  await expect(approve(randomUUID())).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(approve("' OR 1=1")).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('is forgotten when it was over for as many days as the audit is kept, not before', async () => {
  const [old, recent] = [needed(await test.call('echo', { e: 1 })), needed(await test.call('echo', { f: 1 }))];
  await test.owner.query(
    "UPDATE tool_approvals SET expires_at = now() - CASE id WHEN $1 THEN interval '31 days' ELSE interval '29 days' END WHERE id IN ($1, $2)",
    [old, recent],
  );
  await forgetApprovals(test.database, 30);
  const left = await test.owner.query<{ id: string }>('SELECT id FROM tool_approvals WHERE id IN ($1, $2)', [
    old,
    recent,
  ]);
  expect(left.map(({ id }) => id)).toEqual([recent]);
});

it('reaches the client of a virtual server in its session', async () => {
  const client = new Client({ name: 'asked', version: '1' }, { capabilities: { elicitation: {} } });
  const asked: string[] = [];
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    asked.push(params.message);
    return { action: 'accept', content: { approve: true } };
  });
  const headers = { authorization: `Bearer ${await test.token({ server: 'team' })}` };
  const url = new URL(`http://127.0.0.1:${test.port}/api/v1/mcp/team/mcp`);
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }) as never);
  const { content } = await client.callTool({ name: 'echo', arguments: { through: 'team' } });
  expect(content).toEqual([{ type: 'text', text: '{"through":"team"}' }]);
  expect(asked).toEqual([expect.stringContaining('It writes.') as string]);
  await client.close();
});

it('where somebody else has to approve, the caller can’t, by no way', async () => {
  const id = needed(await test.call('slow', { ms: 1 }));
  const own = { userId: test.user.id, userName: test.user.name, through: 'cli' } as const;
  await expect(approve(id, own)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await test.send(JSON.stringify({ jsonrpc: '2.0', id: `systemprompt-approval:${id}`, result: accepted }));
  expect(await row(id)).toMatchObject({ state: 'waiting' });
  // The database would not have it either.
  const forged = test.database.query(
    "UPDATE tool_approvals SET state = 'approved', decided_at = now(), decided_by = user_id WHERE id = $1",
    [id],
  );
  await expect(forged).rejects.toThrow(/check constraint/);
  for (const state of ['approved', 'denied']) {
    const unrecorded = test.database.query(
      'UPDATE tool_approvals SET state = $2, decided_at = now(), decided_by = gen_random_uuid() WHERE id = $1',
      [id, state],
    );
    await expect(unrecorded).rejects.toThrow('is not on record');
  }
  await approve(id);
  expect((await test.call('slow', { ms: 1 })).json.result).toBeDefined();
});

const accepted = { action: 'accept', content: { approve: true } };

interface Asked {
  readonly id: string;
  readonly method: string;
  readonly params: { message?: string; requestedSchema?: unknown; requestId?: string };
}

/** A call of a client with a session; its stream's messages as they come. */
async function legacyCall(args: object, capabilities: object = { elicitation: {} }, tool = 'echo') {
  const hello = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 't', version: '1' } };
  const init = await test.send(JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: hello }));
  const session = String(init.headers['mcp-session-id']);
  const messages: Asked[] = [];
  let left = () => {};
  const ended = new Promise<string>((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${test.bearer}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': session,
    };
    const path = '/api/v1/mcp/alpha/mcp';
    const req = request({ host: '127.0.0.1', port: test.port, path, method: 'POST', headers }, (res) => {
      let text = '';
      res.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        messages.length = 0;
        for (const [, json] of text.matchAll(/^data: (.*)$/gm)) messages.push(JSON.parse(json ?? '') as Asked);
      });
      res.on('end', () => resolve(text));
      res.on('error', () => resolve(text));
    });
    req.on('error', reject);
    left = () => {
      ended.catch(() => {});
      req.destroy();
    };
    req.end(JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: tool, arguments: args } }));
  });
  return { session, messages, ended, leave: () => left() };
}

/** The client's answer, which may arrive at another process. */
const answer = (id: string, result: object, port: number, session: string, token?: string) =>
  test.send(
    JSON.stringify({ jsonrpc: '2.0', id, result }),
    { 'mcp-session-id': session, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    'POST',
    '/api/v1/mcp/alpha/mcp',
    port,
  );

it('a client with a session is asked on the stream of its call; its answer arrives at another process', async () => {
  await test.seen();
  const call = await legacyCall({ e: 1 });
  await until('it is asked', () => call.messages.length > 0);
  const [asked] = call.messages;
  expect(asked).toMatchObject({ method: 'elicitation/create', params: { requestedSchema: { required: ['approve'] } } });
  expect(asked?.params.message).toMatch(/May alpha run echo\? It writes\.\nArguments: \{\s+"e": 1/);
  const id = String(asked?.id);
  // Somebody else's answer is none.
  const stranger = await test.token({ client: 'other' });
  expect((await answer(id, accepted, second.port, call.session, stranger)).status).toBe(202);
  expect((await row(id.split(':')[1] ?? ''))?.state).toBe('waiting');
  expect((await answer(id, accepted, second.port, call.session)).status).toBe(202);
  const text = await call.ended;
  expect(text).toContain('notifications/cancelled');
  expect(call.messages.at(-1)).toMatchObject({ id: 7, result: { content: [{ text: '{"e":1}' }] } });
  const seen = await test.seen();
  expect(seen.requests.filter(({ body }) => body.includes('approve'))).toEqual([]);
});

it('a plain yes is the only one: declined, cancelled, a form that says no', async () => {
  for (const result of [
    { action: 'decline' },
    { action: 'cancel' },
    { action: 'accept', content: { approve: false } },
  ]) {
    const call = await legacyCall({ f: 1 });
    await until('it is asked', () => call.messages.length > 0);
    await answer(String(call.messages[0]?.id), result, test.port, call.session);
    await call.ended;
    expect(call.messages.at(-1)).toMatchObject({ id: 7, error: { message: expect.stringContaining('was denied by') } });
  }
});

it('an admin may answer instead, before the client does; who is not asked in time is told the command', async () => {
  const call = await legacyCall({ g: 1 }, undefined, 'stream');
  await until('it is asked', () => call.messages.length > 0);
  await approve(String(call.messages[0]?.id).split(':')[1] ?? '');
  await call.ended;
  expect(call.messages.at(-1)).toMatchObject({ id: 7, result: { content: [{ text: 'streamed' }] } });
  const late = await legacyCall({ h: 1 });
  await late.ended;
  expect(late.messages.at(-1)).toMatchObject({ error: { message: expect.stringContaining('needs an approval') } });
});

it('a client that can’t ask its user is not asked; one that leaves takes the call back', async () => {
  const plain = await legacyCall({ i: 1 }, { elicitation: { url: {} } });
  expect(await plain.ended).toContain('needs an approval');
  const call = await legacyCall({ j: 1 });
  await until('it is asked', () => call.messages.length > 0);
  call.leave();
  await until('the attempt is on record', async () =>
    (await test.rowsOf()).some(({ input, status }) => JSON.stringify(input) === '{"j":1}' && status === 'refused'),
  );
});

interface Required {
  readonly resultType: string;
  readonly inputRequests: Record<string, { method: string; params: { message: string } }>;
  readonly requestState: string;
}

const modern = (args: object, more: object = {}, port = test.port, token = test.bearer) =>
  test.send(
    JSON.stringify({
      jsonrpc: '2.0',
      id: 9,
      method: 'tools/call',
      params: { name: 'echo', arguments: args, _meta: elicitation, ...more },
    }),
    { authorization: `Bearer ${token}`, 'mcp-protocol-version': '2026-07-28' },
    'POST',
    '/api/v1/mcp/alpha/mcp',
    port,
  );

it('a client of 2026-07-28 is asked by the answer and calls again, at another process, with what was for the server', async () => {
  const forServer = { requestState: 'the server’s own', inputResponses: { roots: { roots: [] } } };
  const first = await modern({ k: 1 }, forServer);
  const required = first.json.result as unknown as Required;
  expect(required).toMatchObject({
    resultType: 'input_required',
    inputRequests: { 'systemprompt.approval': { method: 'elicitation/create', params: { mode: 'form' } } },
  });
  expect((await test.rowOf(first)).status).toBe('refused');
  const { requestState } = required;
  const yes = { requestState, inputResponses: { 'systemprompt.approval': accepted } };
  // Another argument, another client's token, a changed state: it counts for none of them.
  expect((await modern({ k: 2 }, yes)).json.result).toMatchObject({ resultType: 'input_required' });
  const stranger = await test.token({ client: 'other' });
  expect((await modern({ k: 1 }, yes, test.port, stranger)).json.result).toMatchObject({
    resultType: 'input_required',
  });
  const changed = { ...yes, requestState: `A${requestState}` };
  expect((await modern({ k: 1 }, changed)).json.result).toMatchObject({ resultType: 'input_required' });
  await test.seen();
  const made = await modern({ k: 1 }, yes, second.port);
  expect(made.json.result).toMatchObject({ content: [{ text: '{"k":1}' }] });
  const [sent] = (await test.seen()).requests;
  expect(JSON.parse(sent?.body ?? '').params).toEqual({
    name: 'echo',
    arguments: { k: 1 },
    _meta: elicitation,
    ...forServer,
  });
  // Once.
  expect((await modern({ k: 1 }, yes, second.port)).json.result).toMatchObject({ resultType: 'input_required' });
  const no = { ...yes, inputResponses: { 'systemprompt.approval': { action: 'decline' } } };
  const again = (await modern({ l: 1 })).json.result as unknown as Required;
  const denied = await modern({ l: 1 }, { ...no, requestState: again.requestState });
  expect(denied.json.error?.message).toMatch(/was denied by/);
});
