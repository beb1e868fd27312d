import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Approvals } from '../../../../src/lib/app/approvals/desk.ts';
import { openPolicy } from '../../../../src/lib/app/policy/open.ts';
import { Quotas } from '../../../../src/lib/app/policy/quotas.ts';
import { SharedAllowances } from '../../../../src/lib/app/rate-limit/shared-allowances.ts';
import { toolHooksSchema } from '../../../../src/lib/domain/mcp/index.ts';
import { serverConfig } from '../../../helpers/server-config.ts';
import { type TemporaryFolder, temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { openTestGateway, type Reply, type TestGateway } from '../router/gateway.ts';

const fixture = join(import.meta.dirname, '../../../fixtures/hooks/hook.mjs');
const githubToken = `ghp_${'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'}`;
const key = 'a key of more than enough letters';

let test: TestGateway;
let folder: TemporaryFolder;
const posted: { headers: IncomingMessage['headers']; body: string }[] = [];
const hookServer = createServer((req, res) => {
  let body = '';
  req.on('data', (chunk: Buffer) => {
    body += chunk.toString();
  });
  req.on('end', () => {
    posted.push({ headers: req.headers, body });
    const { tool_input: input } = JSON.parse(body) as { tool_input: { http?: unknown; status?: number } };
    if (input.http === 'never') return;
    if (input.http === 'redirect') res.writeHead(302, { location: 'http://127.0.0.1:1/' }).end();
    else res.writeHead(input.status ?? 200).end(JSON.stringify(input.http ?? { decision: 'allow' }));
  });
});

/** A program that is a hook. */
const program = (does: string, more: object = {}) => ({
  type: 'command',
  name: does,
  command: process.execPath,
  args: [fixture, does, ...(does === 'by-input' ? [join(folder.path, 'calls')] : [])],
  ...more,
});

beforeAll(async () => {
  folder = await temporaryFolder();
  hookServer.listen(0, '127.0.0.1');
  await once(hookServer, 'listening');
  const { port } = hookServer.address() as AddressInfo;
  const hooks = toolHooksSchema.parse([
    { type: 'secrets', name: 'no-secrets', tools: 'echo|huge' },
    { type: 'secrets', name: 'blank-secrets', tools: 'tool_error', action: 'redact' },
    { type: 'secrets', name: 'blank-output', tools: 'rpc_error', on: ['output'], action: 'redact' },
    { type: 'secrets', name: 'no-output', tools: 'gone_404|slow', on: ['output'] },
    { type: 'deny', name: 'no-html', tools: 'html', reason: 'No pages here.' },
    { type: 'deny', name: 'no-etc', tools: 'mcp__alpha__echo', arguments: { path: '^/etc(/|$)', mode: 'w' } },
    { type: 'deny', name: 'no-word', tools: 'echo', arguments: { '*': '\\bdrop table\\b' } },
    {
      type: 'schema',
      name: 'small',
      tools: 'slow',
      schema: { type: 'object', properties: { ms: { type: 'integer', maximum: 10 } }, required: ['ms'] },
    },
    { type: 'quota', name: 'three', tools: 'session', limit: 3, per_seconds: 3600 },
    program('by-input', { tools: '^echo$' }),
    program('garbage', { tools: 'stream_two' }),
    program('silent', { tools: 'stream_crlf' }),
    program('two', { tools: 'never' }),
    program('crash', { tools: 'stream_open' }),
    program('hang', { tools: 'stream_none', timeout_ms: 300 }),
    { type: 'command', name: 'missing', tools: 'accepted', command: './not-there' },
    program('claude', { tools: 'request' }),
    program('post', { tools: 'echo|rpc_error|stream', events: ['PostToolUse', 'PostToolUseFailure'] }),
    {
      type: 'http',
      name: 'remote',
      tools: 'echo',
      url: `http://127.0.0.1:${port}/hook`,
      key: '${secret:HOOK_KEY}',
      private_network: true,
      timeout_ms: 500,
    },
    { type: 'http', name: 'guarded', tools: 'half', url: 'https://localhost/hook', key: '${secret:HOOK_KEY}' },
  ]);
  test = await openTestGateway({
    servers: [serverConfig({ hooks })],
    policy: async ({ database }, servers) => {
      const policy = await openPolicy({
        hooks: [],
        servers,
        root: dirname(fixture),
        secrets: { require: async () => key },
        quotas: new Quotas(new SharedAllowances({ database, processes: 2, burst: 1, onFailure: fail })),
        approvals: new Approvals({ database }),
      });
      return { policy };
    },
  });
});
afterAll(async () => {
  await test.close();
  hookServer.closeAllConnections();
  hookServer.close();
  await folder[Symbol.asyncDispose]();
});
afterEach(() => expect(test.unhandled).toEqual([]));

function fail(error: unknown): void {
  throw error;
}

/** A refusal is an answer to the call, on record as one, and the server never saw it. */
async function refused(reply: Reply, message: string | RegExp, by: string, verdict = 'deny') {
  expect(reply.status).toBe(200);
  expect(reply.json.error).toMatchObject({ message: expect.stringMatching(message), data: { code: 'FORBIDDEN' } });
  const row = await test.rowOf(reply);
  expect(row).toMatchObject({ decision: 'refused', status: 'refused' });
  expect(row.policy.said.at(-1)).toMatchObject({ by, verdict });
  expect((await test.seen()).requests).toHaveLength(0);
  return row;
}

it('a secret in the arguments is not sent, and is in no row', async () => {
  await test.seen();
  const row = await refused(await test.call('echo', { note: `use ${githubToken}` }), /GitHub token/, 'no-secrets');
  expect(row.policy['version']).toMatch(/^[0-9a-f]{16}$/);
  expect(await test.dump()).not.toContain(githubToken);
});

it('what is no secret passes, however it is called', async () => {
  const innocent = {
    password: 'must have eight letters or more',
    model: 'sk-learn-contrib-imbalanced-learning',
    commit: '9fceb02d0ae598e95dc970b74767f19372d61af8',
    id: '018f3a3e-7c1e-7c3a-9b0e-3f6f3d2b1a00',
    url: 'https://user@example.com/a?token=1',
    pem: '-----BEGIN CERTIFICATE-----',
  };
  expect((await test.call('echo', innocent)).json.result).toBeDefined();
});

it('a secret in an answer is taken out of it, or the answer is held back; the digests of both are on record', async () => {
  const text = `no such key ${githubToken}`;
  const reply = await test.call('rpc_error', { text });
  expect(reply.json.error?.message).toBe('no such key [redacted]');
  const row = await test.rowOf(reply);
  expect(row).toMatchObject({
    status: 'failed',
    answer_policy: { said: [{ by: 'blank-output', verdict: 'redact' }, { by: 'post' }] },
  });
  expect(row.answer_policy?.['given']).toMatch(/^[0-9a-f]{64}$/);
  expect(row.answer_policy?.['given']).not.toBe(row.output_digest);
  const before = await test.call('tool_error', { text });
  expect(before.body).toContain('no such key [redacted]');
  expect((await test.rowOf(before)).policy).toMatchObject({ rewritten: { input: { text: 'no such key [redacted]' } } });
  expect(await test.dump()).not.toContain(githubToken);
});

it('deny lists go by tool and by arguments, all of which must match', async () => {
  await test.seen();
  await refused(await test.call('html'), /^Refused by no-html: No pages here\.$/, 'no-html');
  await refused(await test.call('echo', { path: '/etc/passwd', mode: 'w' }), 'no-etc', 'no-etc');
  await refused(await test.call('echo', { deep: [{ sql: 'DROP; drop table users' }] }), 'no-word', 'no-word');
  await refused(await test.call('echo', { 'drop table': 1 }), 'no-word', 'no-word');
  expect((await test.call('echo', { path: '/etc/passwd', mode: 'r' })).json.result).toBeDefined();
});

it('arguments must satisfy the schema of a rule; the refusal says where they do not, not what they are', async () => {
  await test.seen();
  const row = await refused(await test.call('slow', { ms: 4711 }), /\/ms must be <= 10/, 'small');
  expect(JSON.stringify(row.policy)).not.toContain('4711');
  await refused(await test.call('slow', {}), /required property 'ms'/, 'small');
  expect((await test.call('slow', { ms: 1 })).json.result).toBeDefined();
});

it('a quota is what all processes together give', async () => {
  for (let count = 0; count < 3; count += 1) expect((await test.call('session')).status).toBe(200);
  const reply = await test.call('session');
  expect(reply.json.error?.data['code']).toBe('RATE_LIMITED');
  const row = await test.rowOf(reply);
  expect(row).toMatchObject({ status: 'refused', policy: { said: [{ by: 'three', verdict: 'deny' }] } });
  const [kept] = await test.database.query<{ caller: string }>(
    "SELECT * FROM rate_allowances WHERE quota = 'tool three'",
  );
  expect(kept?.caller).toContain(test.user.id);
});

it('a program is told who calls what, and its verdict holds', async () => {
  expect((await test.call('echo', { a: 1 })).json.result).toBeDefined();
  const told = JSON.parse(readFileSync(join(folder.path, 'calls'), 'utf8').trimEnd().split('\n').at(-1) ?? '');
  expect(told).toMatchObject({
    hook_event_name: 'PreToolUse',
    tool_name: 'mcp__alpha__echo',
    tool_input: { a: 1 },
    server: 'alpha',
    tool: 'echo',
    user: { id: test.user.id, name: test.user.name },
    client: 'test',
  });
  await test.seen();
  const verdict = { decision: 'deny', reason: 'not on Sundays' };
  await refused(await test.call('echo', { verdict }), /^Refused by by-input: not on Sundays$/, 'by-input');
});

it('what a hook rewrites is what the server gets, and is looked at by the rules again', async () => {
  await test.seen();
  const reply = await test.call('echo', { verdict: { decision: 'allow', input: { a: 2 } } });
  expect(JSON.parse(reply.json.result?.content?.[0]?.text ?? '')).toEqual({ a: 2 });
  const row = await test.rowOf(reply);
  expect(row.input).toEqual({ verdict: { decision: 'allow', input: { a: 2 } } });
  expect(row.policy).toMatchObject({ rewritten: { input: { a: 2 }, digest: expect.stringMatching(/^[0-9a-f]{64}$/) } });
  expect(row.policy['rewritten']).not.toMatchObject({ digest: row.input_digest });
  await test.seen();
  // A server that goes by headers must not run what was rewritten.
  const twice = await test.call('echo', { verdict: { decision: 'allow', input: { a: 2 } } }, { 'mcp-param-a': '1' });
  expect(twice.json.error?.message).toMatch(/repeats them in its headers/);
  expect((await test.seen()).requests).toHaveLength(0);
  const sly = { verdict: { decision: 'allow', input: { path: '/etc/x', mode: 'w' } } };
  await refused(await test.call('echo', sly), 'no-etc', 'no-etc');
});

it('a hook that fails, answers garbage, says nothing or takes too long refuses', async () => {
  await test.seen();
  await refused(await test.call('stream_two'), 'garbage failed', 'garbage', 'failed');
  await refused(await test.call('stream_crlf'), 'silent failed', 'silent', 'failed');
  await refused(await test.call('stream_open'), 'crash failed', 'crash', 'failed');
  await refused(await test.call('accepted'), 'missing failed', 'missing', 'failed');
  const row = await refused(await test.call('stream_none'), 'hang failed', 'hang', 'failed');
  expect(row.policy.said[0]?.reason).toContain('longer than 300 ms');
});

it('a hook of Claude Code is understood: exit 2, and its own form of answer', async () => {
  await test.seen();
  await refused(await test.call('never'), /not while the shop is closed/, 'two');
  await refused(await test.call('request', { ok: false }), /as Claude Code would/, 'claude');
  await test.call('request', { ok: true });
  const [request] = (await test.seen()).requests;
  expect(JSON.parse(request?.body ?? '')).toMatchObject({ params: { arguments: { ok: true, added: 1 } } });
});

it('a hook hears of answers, and may deny or change them', async () => {
  const changed = await test.call('echo', { text: 'internal' });
  expect(changed.json.result).toEqual({ content: [{ type: 'text', text: 'taken out' }] });
  expect((await test.rowOf(changed)).answer_policy).toMatchObject({ said: [{ by: 'post', verdict: 'redact' }] });
  const held = await test.call('echo', { text: 'forbidden' });
  expect(held.json.error?.message).toMatch(/held back by post/);
  expect(held.body).not.toContain('forbidden');
  const row = await test.rowOf(held);
  expect(row).toMatchObject({ decision: 'allowed', status: 'failed', output_digest: expect.any(String) });
  const failed = await test.call('rpc_error', { text: 'internal' });
  expect((await test.rowOf(failed)).answer_policy).toMatchObject({ said: [{ by: 'post' }] });
});

it('an answer that comes as an event is looked at as well', async () => {
  const reply = await test.call('stream');
  expect(reply.json.result?.content?.[0]?.text).toBe('streamed');
  expect((await test.rowsOf()).at(-1)).toMatchObject({ answer_policy: { said: [{ by: 'post', verdict: 'allow' }] } });
});

it('an address gets the call signed, and its verdict holds; no answer, a redirect or an error refuses', async () => {
  posted.length = 0;
  expect((await test.call('echo', { b: 1 })).json.result).toBeDefined();
  const [first] = posted;
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = first?.headers ?? {};
  const mac = createHmac('sha256', key).update(`${id}.${time}.${first?.body}`).digest('base64');
  expect(signature).toBe(`v1,${mac}`);
  await test.seen();
  await refused(await test.call('echo', { http: { decision: 'deny', reason: 'no' } }), /by remote: no/, 'remote');
  await refused(await test.call('echo', { status: 500 }), 'remote failed', 'remote', 'failed');
  await refused(await test.call('echo', { http: 'redirect' }), 'remote failed', 'remote', 'failed');
  await refused(await test.call('echo', { http: 'never' }), 'remote failed', 'remote', 'failed');
  await refused(await test.call('half'), 'guarded failed', 'guarded', 'failed');
});

it('a call that nothing watches over has no record of it', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const reply = await test.call('two_json', {}, { traceparent: `00-${trace}-00f067aa0ba902b7-01` });
  expect(await test.rowOf(reply)).toMatchObject({ policy: null, answer_policy: null, trace_id: trace });
});
