import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { auditCard } from '../../../../src/entry/cli/views/audit.ts';
import { AuditReader } from '../../../../src/lib/domain/governance/index.ts';
import { deriveIdentityKey } from '../../../../src/lib/infra/security/identity-header.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { type BridgeRig, bridgeRig } from '../../../helpers/bridge-rig.ts';
import { openTestGateway, type Reply, serverConfig, type TestGateway } from './gateway.ts';

// Names that nobody has, and programs behind a bridge that answer wrongly: what the caller hears, and what is on record.

const secret = new Set<string>();
let test: TestGateway;
let bridge: BridgeRig;

beforeAll(async () => {
  test = await openTestGateway({
    servers: [
      serverConfig(),
      serverConfig({
        name: 'program',
        kind: 'stdio',
        tools: new Map([['never', { scopes: [], secret, timeoutMs: 300 }]]),
      }),
    ],
  });
  const root = new Uint8Array(Buffer.from(test.identityRoot, 'base64url'));
  const instanceId = randomUUID() as ServiceInstanceId;
  bridge = await bridgeRig({
    door: { instanceId, key: deriveIdentityKey(root, instanceId) },
    maxMessageBytes: 1024 * 1024,
  });
  const before = test.endpoints.get('mcp:program');
  if (before === undefined) throw new Error('no server');
  test.endpoints.set('mcp:program', { ...before, instanceId, port: Number(new URL(bridge.origin).port) });
});
afterAll(async () => {
  await test?.close();
  await bridge?.[Symbol.asyncDispose]();
});

const callProgram = async (tool: string, args: object = {}): Promise<Reply> =>
  test.send(
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } }),
    { authorization: `Bearer ${await test.token({ server: 'program' })}` },
    'POST',
    '/api/v1/mcp/program/mcp',
  );

describe('a program behind the bridge', () => {
  it.each<[string, object, number, string, RegExp]>([
    ['garbage', {}, 200, 'failed', /./],
    ['half', {}, 200, 'failed', /./],
    ['other', {}, 200, 'failed', /./],
    ['huge', { megabytes: 3 }, 200, 'failed', /more than the bridge takes/],
    ['never', {}, 504, 'timeout', /did not answer within 300 ms/],
  ])('that answers with %s is an error to its caller, and a row', async (tool, args, http, status, message) => {
    const reply = await callProgram(tool, args);
    expect(reply.status).toBe(http);
    expect(reply.json.error?.message).toMatch(message);
    const row = await test.rowOf(reply);
    expect(row).toMatchObject({ server: 'program', tool, decision: 'allowed', status });
    expect(row.error).toMatch(message);
    expect((await callProgram('echo', { still: 'here' })).json.result?.content?.[0]?.text).toBe('{"still":"here"}');
  });

  it('that answers twice has answered once', async () => {
    const reply = await callProgram('twice');
    expect(reply.json.result?.content?.[0]?.text).toBe('first');
    expect(await test.rowOf(reply)).toMatchObject({ status: 'success', error: null });
  });

  it('that ends instead of answering is an error to its caller, and a row', async () => {
    const reply = await callProgram('crash');
    expect(reply.json.error).toMatchObject({ data: { code: 'UPSTREAM_FAILED', exit_code: 7 } });
    expect(await test.rowOf(reply)).toMatchObject({ tool: 'crash', decision: 'allowed', status: 'failed' });
  });
});

describe('a name', () => {
  it.each([
    ['..', 'is a path'],
    ['a/../b', 'is a path'],
    ['..\\a', 'is a path'],
    ['a\u0000b', 'has characters that can not be seen'],
    ['a\nb', 'has characters that can not be seen'],
    ['echo\u200b', 'has characters that can not be seen'],
    ['\u202eohce', 'has characters that can not be seen'],
    ['x'.repeat(300), 'is longer than 256 characters'],
  ])('that no tool has is refused on record, and never reaches the server: %j', async (tool, fault) => {
    await test.seen();
    const reply = await test.call(tool);
    expect([reply.status, reply.json.error]).toMatchObject([400, { code: -32_602, message: `params.name ${fault}.` }]);
    const row = await test.rowOf(reply);
    expect(row).toMatchObject({ decision: 'refused', status: 'refused' });
    expect(row.tool).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect((await test.seen()).requests).toEqual([]);
  });

  it.each(['a/b', '/echo', '\u0435cho', 'ECHO', 'echo ', 'e\u0301cho'])(
    'that is like another one is not that one: %j',
    async (tool) => {
      const reply = await test.call(tool);
      expect(reply.json.error).toMatchObject({ code: -32_602, message: `Unknown tool: ${tool}` });
      expect(await test.rowOf(reply)).toMatchObject({ tool, status: 'failed' });
    },
  );

  it.each(['..', '%2e%2e', 'al%2Fpha', 'alpha%00', 'ALPHA', '%D0%B0lpha', 'alpha%20', '__proto__', 'constructor'])(
    'of a server that is not there is 404: %s',
    async (server) => {
      const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}';
      expect((await test.send(body, {}, 'POST', `/api/v1/mcp/${server}/mcp`)).status).toBe(404);
    },
  );
});

it('an answer that is a question is on record as one, by what is asked and not by how', async () => {
  const reply = await test.call('asks');
  expect(reply.json.result).toMatchObject({ resultType: 'input_required', requestState: 's' });
  const row = await test.rowOf(reply);
  expect(row).toMatchObject({ status: 'success', answer_policy: { asked: ['elicitation/create', 'unknown'] } });
  expect(JSON.stringify(row)).not.toContain('hunter2');
  const actor = { userId: test.user.id, userName: test.user.name, permission: 'admin' } as unknown as Actor;
  const entry = await new AuditReader(test.database).show(actor, row.execution_id);
  expect(auditCard(entry).sections).toContainEqual({
    heading: 'Asked before a result',
    content: 'elicitation/create, unknown (input_required)',
  });
});
