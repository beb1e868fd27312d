import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { KeptArtifacts } from '../../src/lib/app/artifacts/keeper.ts';
import { ToolCatalogue } from '../../src/lib/app/catalogue/catalogue.ts';
import { Cancellation, type ToolCall } from '../../src/lib/app/executor/call.ts';
import { Executor } from '../../src/lib/app/executor/executor.ts';
import { openPolicy } from '../../src/lib/app/policy/open.ts';
import type { ApprovalDesk } from '../../src/lib/app/policy/policy.ts';
import { Quotas } from '../../src/lib/app/policy/quotas.ts';
import { OwnAllowances } from '../../src/lib/app/rate-limit/quota.ts';
import { Breakers } from '../../src/lib/app/router/breaker.ts';
import { ServerLimits } from '../../src/lib/app/router/server-limits.ts';
import { SessionBinding } from '../../src/lib/app/router/session-binding.ts';
import { Sessions } from '../../src/lib/app/router/sessions.ts';
import type { Claims } from '../../src/lib/domain/auth/index.ts';
import { newExecutionId } from '../../src/lib/domain/governance/index.ts';
import { type McpServerConfig, toolHooksSchema } from '../../src/lib/domain/mcp/index.ts';
import type { Database } from '../../src/lib/infra/database/connection.ts';
import type { ServiceInstanceId } from '../../src/lib/shared/ids.ts';
import { serverConfig } from '../../test/helpers/server-config.ts';
import { type Step, time } from './timing.ts';

const quiet = { info: () => {}, warn: () => {}, error: () => {} };
const many = 20_000;

/** What the layers between the reading of a call and its rows cost, each by itself. */
export async function measureLayers(database: Database, claims: Claims): Promise<Step[]> {
  const server = serverConfig({ name: 'bare' });
  const call: ToolCall = {
    server,
    tool: 'echo',
    input: { text: 'hello' },
    claims,
    arrivedAt: performance.now(),
    cancellation: new Cancellation(),
  };
  return [
    ...(await measureAdmission(database, call)),
    ...(await measurePolicy(call)),
    ...(await measureArtifacts(call)),
    await time('the executor around all of that, rows and server for nothing', many, executorOf(call)),
  ];
}

async function measureAdmission(database: Database, call: ToolCall): Promise<Step[]> {
  const { server, claims } = call;
  const sessions = new Sessions({ binding: new SessionBinding(randomBytes(32)), idleMs: 3_600_000, log: quiet });
  const owner = { server: server.name, instanceId: randomUUID() as ServiceInstanceId, userId: claims.sub };
  const { bound } = sessions.begin(owner, randomUUID(), claims);
  const catalogue = await ToolCatalogue.open({ database, servers: [server], log: quiet });
  await catalogue.observe(
    server.name,
    ['echo', 'one', 'two', 'three'].map((name) => ({ name, description: name, inputSchema: { type: 'object' } })),
  );
  const limits = new ServerLimits(new OwnAllowances(() => performance.now()));
  const limited = { ...server, rateLimit: { requests: 1_000_000_000, perSeconds: 1, per: 'user' as const } };
  const breakers = new Breakers();
  try {
    return [
      await time('look the session up', many, () => sessions.find(owner, bound, claims, '2025-11-25')),
      await time('look the tool up in the catalogue', many, () => catalogue.refusalOf(server.name, call.tool)),
      await time('limits of server and tool, none set', many, () => limits.refusal(server, claims, call.tool)),
      await time('limits of server and tool, one set', many, () => limits.refusal(limited, claims, call.tool)),
      await time('ask the circuit breaker, and tell it', many, () => {
        breakers.refusal(server);
        breakers.record(server);
      }),
    ];
  } finally {
    await catalogue.close();
    await sessions.close();
  }
}

const allow = '{"decision":"allow"}';
const schema = {
  type: 'object',
  properties: { text: { type: 'string', maxLength: 1000 } },
  required: ['text'],
  additionalProperties: false,
};

/** A rule or hook of each kind, of which none has anything against the call: before it, and after it where it looks then. */
async function measurePolicy(call: ToolCall): Promise<Step[]> {
  const receiver = createServer((req, res) => void req.resume().on('end', () => res.end(allow)));
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const { port } = receiver.address() as AddressInfo;
  const args = ['-c', `cat > /dev/null; echo '${allow}'`];
  const kinds: readonly (readonly [string, number, object])[] = [
    ['a rule about secrets', many, { type: 'secrets' }],
    ['a rule that denies by an argument', many, { type: 'deny', arguments: { text: '^/etc(/|$)' } }],
    ['a rule that asks for approval by an argument', many, { type: 'ask', arguments: { text: '^rm ' } }],
    ['a rule by JSON Schema', many, { type: 'schema', schema }],
    ['a quota', many, { type: 'quota', limit: 1_000_000, per_seconds: 1 }],
    ['a program', 50, { type: 'command', command: 'sh', args }],
    [
      'an address',
      500,
      { type: 'http', url: `http://127.0.0.1:${port}/`, key: '${secret:HOOK_KEY}', private_network: true },
    ],
  ];
  const payload = Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}}');
  const id = newExecutionId();
  try {
    const none = await policyOf([]);
    const elsewhere = await policyOf([{ type: 'secrets', tools: 'another' }]);
    const steps = [
      await time('policy: no rule at all', many, () => none?.watch(call.server, call.tool)),
      await time('policy: rules for other tools', many, () => elsewhere?.watch(call.server, call.tool)),
    ];
    for (const [name, times, hook] of kinds) {
      const policy = await policyOf([hook]);
      const watched = async () => {
        const watch = policy?.watch(call.server, call.tool);
        const before = await watch?.before(call, id);
        if (watch === undefined || before?.refusal !== undefined) throw new Error(`${name} did not let the call pass`);
        await watch.after?.(call, id, call.input, { status: 'success', payload });
      };
      steps.push(await time(`policy: ${name}`, times, watched));
    }
    return steps;
  } finally {
    receiver.closeAllConnections();
    receiver.close();
  }
}

function policyOf(hooks: readonly object[]) {
  const never = () => Promise.reject(new Error('Nobody is to be asked.'));
  const approvals: ApprovalDesk = { obtain: never, use: never };
  return openPolicy({
    hooks: toolHooksSchema.parse(hooks),
    servers: [],
    root: tmpdir(),
    secrets: { require: async () => 'a key of more than enough letters' },
    quotas: new Quotas(new OwnAllowances(() => performance.now())),
    approvals,
  });
}

async function measureArtifacts(call: ToolCall): Promise<Step[]> {
  const secrets = { get: async () => undefined, fingerprint: async () => '' };
  const kept = new KeptArtifacts({ database: { query: async () => [] }, days: 1, secrets, log: quiet });
  const items = [{ name: 'one', count: 1 }];
  const columns = [
    { name: 'name', column_type: 'string' },
    { name: 'count', column_type: 'integer' },
  ];
  const table = { type: 'table', columns, items };
  try {
    return [
      await time('artifacts: a result that is none', many, () => kept.keep(call, newExecutionId(), { items })),
      // As many as may wait are taken in a turn; the next ones when those are written.
      await time('artifacts: a table is taken and written behind', 400, () => kept.keep(call, newExecutionId(), table)),
    ];
  } finally {
    await kept.close();
  }
}

function executorOf(call: ToolCall): () => Promise<unknown> {
  const { server } = call;
  const done = Promise.resolve();
  const breakers = new Breakers();
  const limits = new ServerLimits(new OwnAllowances(() => performance.now()));
  const executor = new Executor({
    audit: { intent: () => done, attempt: () => done, outcome: () => done },
    callTimeoutMs: 30_000,
    admission: [
      ({ claims, tool }) => limits.refusal(server as McpServerConfig, claims, tool),
      () => breakers.refusal(server),
    ],
  });
  const answer = Promise.resolve({ status: 'success' as const, payload: Buffer.from('{}') });
  return () => executor.execute(call, () => ({ answer, abort: () => {} }));
}
