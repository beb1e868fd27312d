import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openPolicy } from '../../../../src/lib/app/policy/open.ts';
import { Upstreams } from '../../../../src/lib/app/router/upstreams.ts';
import { toolHooksSchema } from '../../../../src/lib/domain/mcp/index.ts';
import { deriveIdentityKey } from '../../../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { type McpChild, startMcpChild } from '../../../helpers/mcp-child.ts';
import { openTestGateway, serverConfig, type TestGateway } from '../router/gateway.ts';

// The hook is a function of an extension, in the process of its server.

let test: TestGateway;
let extension: McpChild;
let upstreams: Upstreams;

beforeAll(async () => {
  const events = ['PreToolUse', 'PostToolUse', 'PostToolUseFailure'];
  const hook = { type: 'extension', extension: 'face', hook: 'watch', events, timeout_ms: 500, tools: 'echo' };
  const hooks = toolHooksSchema.parse([
    hook,
    { ...hook, hook: 'absent', tools: 'html', name: 'absent' },
    { ...hook, extension: 'gone', tools: 'garbage', name: 'gone' },
  ]);
  const none = {} as never;
  test = await openTestGateway({
    servers: [serverConfig(), serverConfig({ name: 'face' })],
    policy: async (_, servers) => ({
      policy: await openPolicy({
        hooks,
        servers,
        root: '/',
        secrets: none,
        quotas: none,
        approvals: none,
        upstreams: { to: (server) => upstreams.to(server) },
      }),
    }),
  });
  const instanceId = randomUUID() as ServiceInstanceId;
  const root = Buffer.from(test.identityRoot, 'base64url');
  extension = await startMcpChild({
    extension: join(import.meta.dirname, '../../../fixtures/extensions/face.mjs'),
    name: 'face',
    env: {
      SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
      SYSTEMPROMPT_IDENTITY_KEY: Buffer.from(deriveIdentityKey(root, instanceId)).toString('base64url'),
    },
  });
  const port = Number(new URL(extension.origin).port);
  test.endpoints.set('mcp:face', { name: 'mcp:face', port, instanceId, state: 'ready', serving: true });
  const directory = {
    endpoint: (name: string) => test.endpoints.get(name),
    refresh: async () => {},
    onChange: () => () => {},
  };
  upstreams = new Upstreams(directory, new Uint8Array(root));
});
afterAll(async () => {
  await upstreams?.close();
  await extension?.[Symbol.asyncDispose]();
  await test?.close();
});

const echo = async (text: string) => {
  const reply = await test.call('echo', { text });
  const { json } = reply;
  return { reply, said: json.error?.message ?? json.result?.content?.[0]?.text };
};

it('lets through, refuses, changes arguments and takes answers out', async () => {
  const { reply, said } = await echo('plain');
  expect(said).toContain('plain');
  const row = await test.rowOf(reply);
  expect(row.policy.said).toMatchObject([{ verdict: 'allow' }]);
  expect(row.answer_policy?.said).toMatchObject([{ verdict: 'allow' }]);
  expect((await echo('deny')).said).toContain(`Not for ${test.user.name}.`);
  expect((await echo('change')).said).toContain('changed');
  expect((await echo('redact')).said).toBe('taken out');
  const execution = reply.headers['x-systemprompt-execution-id'];
  expect(extension.output()).toMatch(new RegExp(`"execution":"${String(execution)}".*"msg":"looking"`));
});

it.each(['throw', 'never', 'nonsense'])('refuses when the function does %s', async (text) => {
  const { reply, said } = await echo(text);
  expect(said).toContain('failed, so the call is refused');
  expect(reply.body).not.toContain('canary');
  expect(await test.rowOf(reply)).toMatchObject({ decision: 'refused', policy: { said: [{ verdict: 'failed' }] } });
});

it('refuses when there is no such function, or no server', async () => {
  for (const tool of ['html', 'garbage']) {
    expect((await test.call(tool)).json.error?.message).toContain('failed, so the call is refused');
  }
});

it('is asked by the router alone', async () => {
  const answers = await Promise.all(
    [{}, { 'x-systemprompt-identity': 'x.y' }].map((headers) =>
      fetch(`${extension.origin}/hooks/watch`, { method: 'POST', headers, body: '{}' }),
    ),
  );
  expect(answers.map(({ status }) => status)).toEqual([401, 401]);
});
