import { afterAll, beforeAll, expect, it } from 'vitest';
import { artifactOf } from '../../../../src/lib/app/artifacts/find.ts';
import { KeptArtifacts } from '../../../../src/lib/app/artifacts/keeper.ts';
import { encodeCredentials } from '../../../../src/lib/app/bridge/credentials.ts';
import { openPolicy } from '../../../../src/lib/app/policy/open.ts';
import { forgetArtifacts } from '../../../../src/lib/domain/governance/index.ts';
import { toolHooksSchema } from '../../../../src/lib/domain/mcp/index.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { serverConfig } from '../../../helpers/server-config.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, type Reply, type TestGateway } from '../router/gateway.ts';

const secret = `ghp_${'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'}`;
/** Looks like nothing that is secret; the server was given it as one. */
const held = 'correct horse battery';
/** What the server behind is sent of the user's. */
const sent = 'plain words of a user';
const warnings: string[] = [];
let test: TestGateway;
let keeper: KeptArtifacts;
let actor: Actor;

beforeAll(async () => {
  const hooks = toolHooksSchema.parse([{ type: 'secrets', on: ['output'], action: 'redact', tools: 'structured' }]);
  const tools = new Map([['structured', { scopes: [], secret: new Set(['note']) }]]);
  test = await openTestGateway({
    servers: [serverConfig({ hooks, tools, env: { TOKEN: '${secret:TOKEN}' } })],
    policy: async ({ database }, servers) => {
      const none = { obtain: () => Promise.reject(new Error('none')), use: async () => {} };
      keeper = new KeptArtifacts({
        database,
        days: 30,
        secrets: { get: async (name) => (name === 'TOKEN' ? held : undefined), fingerprint: async () => '' },
        credentials: {
          headerFor: async () =>
            encodeCredentials({ headers: { authorization: `Bearer ${sent}` }, variables: { PIN: 'green-9-doors' } }),
        },
        log: { warn: (...args: unknown[]) => void warnings.push(JSON.stringify(args)) },
      });
      const [secrets, quotas] = [{ require: async () => '' }, { take: async () => undefined }];
      const policy = await openPolicy({ hooks: [], servers, root: '/', secrets, quotas, approvals: none });
      return { artifacts: keeper, policy };
    },
  });
  actor = { userId: test.user.id, userName: test.user.name, scopes: ['user'], permission: 'user' };
});
afterAll(() => test.close());

const idOf = (reply: Reply) => String(reply.headers['x-systemprompt-execution-id']);
const kept = (reply: Reply) =>
  until('it is kept', () => artifactOf(test.database, actor, idOf(reply)).catch(() => undefined));

it('what a tool returns as an artifact is kept with its type, without secrets, and found by the execution', async () => {
  const table = {
    type: 'table',
    title: 'Keys',
    columns: [{ name: 'name', column_type: 'string' }],
    items: [
      {
        name: 'x'.repeat(9000),
        password: 'hunter2-hunter2',
        note: 'marked',
        key: secret,
        of: `${held}!`,
        back: `${sent} green-9-doors`,
      },
    ],
    count: 1,
  };
  const reply = await test.call('structured', table);
  expect(reply.body).not.toContain(secret);
  const artifact = await kept(reply);
  expect(artifact).toMatchObject({ type: 'table', title: 'Keys', count: 1 });
  expect(artifact).toMatchObject({
    items: [
      {
        name: 'x'.repeat(9000),
        password: '[redacted]',
        note: '[redacted]',
        key: '[redacted]',
        of: '[redacted]!',
        back: '[redacted] [redacted]',
      },
    ],
  });
  expect(await test.dump()).not.toContain(secret);
});

it('is the caller’s alone, and an admin’s', async () => {
  const reply = await test.call('structured', { type: 'text', content: 'mine' });
  await kept(reply);
  const stranger = { ...actor, userId: '00000000-0000-4000-8000-000000000000' as UserId };
  await expect(artifactOf(test.database, stranger, idOf(reply))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(artifactOf(test.database, { ...stranger, permission: 'admin' }, idOf(reply))).resolves.toMatchObject({
    content: 'mine',
  });
});

it('of one that is too large the facts are kept; what is no artifact is not kept', async () => {
  const large = await test.call('structured', { type: 'text', title: 'Large', content: 'y'.repeat(300_000) });
  const plain = await test.call('structured', { type: 'weather', degrees: 3 });
  await until(
    'it is kept',
    async () =>
      (await test.database.query('SELECT FROM tool_artifacts WHERE execution_id = $1', [idOf(large)])).length > 0,
  );
  await expect(artifactOf(test.database, actor, idOf(large))).rejects.toMatchObject({ code: 'TOO_LARGE' });
  await expect(artifactOf(test.database, actor, idOf(plain))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('is gone when its time is over; what waits is written before the end', async () => {
  const reply = await test.call('structured', { type: 'text', content: 'short-lived' });
  await keeper.close();
  expect(await artifactOf(test.database, actor, idOf(reply))).toMatchObject({ content: 'short-lived' });
  await test.owner.query("UPDATE tool_artifacts SET expires_at = now() - interval '1 s'");
  await expect(artifactOf(test.database, actor, idOf(reply))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await forgetArtifacts(test.database);
  expect(await test.database.query('SELECT FROM tool_artifacts')).toEqual([]);
  expect(warnings).toEqual([]);
});
