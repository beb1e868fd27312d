import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { openPolicy } from '../../../../src/lib/app/policy/open.ts';
import { RouterTracing } from '../../../../src/lib/app/router/tracing.ts';
import { toConnectionUrl } from '../../../../src/lib/infra/database/connection-url.ts';
import { deriveIdentityKey } from '../../../../src/lib/infra/security/identity-header.ts';
import { openTracer } from '../../../../src/lib/infra/telemetry/tracer.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import type { Tracer } from '../../../../src/lib/shared/tracing.ts';
import { type BridgeChild, startBridgeChild } from '../../../helpers/bridge-child.ts';
import { type McpChild, startMcpChild } from '../../../helpers/mcp-child.ts';
import { type OtlpReceiver, otlpReceiver, type ReceivedSpan } from '../../../helpers/otlp-receiver.ts';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

// A real collector's socket, the router in this process, a server of ours and a bridge in processes of their own.

const fixtures = join(import.meta.dirname, '../../../fixtures');
const server = 2;
const client = 3;
let receiver: OtlpReceiver;
let tracer: Tracer;
let test: TestGateway;
let own: McpChild;
let bridge: BridgeChild;

beforeAll(async () => {
  receiver = await otlpReceiver();
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', receiver.endpoint);
  const env = { OTEL_BSP_SCHEDULE_DELAY: '50' };
  const log = { warn: () => {}, info: () => {} } as never;
  tracer = openTracer({ service: 'api', instanceId: 'run', version: '1', log, env });
  test = await openTestGateway({
    servers: [serverConfig(), serverConfig({ name: 'beta' }), serverConfig({ name: 'gamma' })],
    tracer,
    policy: async (_, servers) => {
      const hooks = [{ type: 'deny', tools: 'never', reason: 'Never.', name: 'no-never' }] as never;
      const none = {} as never;
      return { policy: await openPolicy({ hooks, servers, root: '/', secrets: none, quotas: none, approvals: none }) };
    },
  });
  const traces = { ...env, SYSTEMPROMPT_TRACES: 'on', OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint };
  const door = (name: string) => {
    const instanceId = randomUUID() as ServiceInstanceId;
    const key = deriveIdentityKey(Buffer.from(test.identityRoot, 'base64url'), instanceId);
    const variables = {
      ...traces,
      MCP_SERVICE_ID: name,
      SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
      SYSTEMPROMPT_IDENTITY_KEY: Buffer.from(key).toString('base64url'),
    };
    const at = (origin: string) => {
      const port = Number(new URL(origin).port);
      test.endpoints.set(`mcp:${name}`, { name: `mcp:${name}`, port, instanceId, state: 'ready', serving: true });
    };
    return { variables, at };
  };
  const [first, second] = [door('alpha'), door('beta')];
  const settings = {
    kind: 'stdio',
    command: { program: process.execPath, args: [join(fixtures, 'bridge/responder.mjs')], cwd: fixtures },
    process: { instances: 'shared', idleStopMs: 0, startTimeoutMs: 15_000 },
  };
  const database = toConnectionUrl(test.testDatabase.owner);
  [own, bridge] = await Promise.all([
    startMcpChild({
      extension: join(fixtures, 'extensions/face.mjs'),
      env: { ...first.variables, DATABASE_URL: database },
    }),
    startBridgeChild(settings, second.variables),
  ]);
  first.at(own.origin);
  second.at(bridge.origin);
});
afterAll(async () => {
  await own?.[Symbol.asyncDispose]();
  await bridge?.[Symbol.asyncDispose]();
  await test?.close();
  await tracer?.close();
  await receiver?.[Symbol.asyncDispose]();
  vi.unstubAllEnvs();
});

/** The spans of a trace, by service and name, once as many are there. */
async function spansOf(trace: string, count: number): Promise<(name: string) => ReceivedSpan> {
  const of = () => receiver.spans.filter(({ traceId }) => traceId === trace);
  await until(`${count} spans of ${trace}`, () => of().length >= count).catch((error: unknown) => {
    throw new Error(JSON.stringify(of().map(({ service, name, kind }) => [service, name, kind])), { cause: error });
  });
  return (name) => {
    const found = of().filter((span) => `${span.service} ${span.name} ${span.kind}` === name);
    if (found.length !== 1) throw new Error(`${name}: ${JSON.stringify(of().map((s) => [s.service, s.name, s.kind]))}`);
    return found[0] as ReceivedSpan;
  };
}

function tree(...spans: readonly ReceivedSpan[]): void {
  for (const [index, span] of spans.entries()) {
    const parent = spans[index - 1];
    if (parent !== undefined) expect([span.name, span.parentSpanId]).toEqual([span.name, parent.spanId]);
  }
}

it('is one trace from the client to the database of a server', async () => {
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  const reply = await test.call(
    'count',
    {},
    { traceparent: `00-${trace}-00f067aa0ba902b7-01`, tracestate: 'a=1' },
    'x-1',
  );
  expect(reply.json.result?.content?.[0]?.text).toBe('42');
  const span = await spansOf(trace, 8);
  const request = span(`api tools/call count ${server}`);
  expect(request.parentSpanId).toBe('00f067aa0ba902b7');
  const sending = span(`api tools/call count ${client}`);
  const handler = span(`mcp:alpha tools/call count ${server}`);
  const transaction = span('mcp:alpha transaction 1');
  tree(request, sending, handler, transaction);
  const statements = receiver.spans.filter(({ name, traceId }) => name === 'SELECT' && traceId === trace);
  expect(statements.map(({ parentSpanId }) => parentSpanId)).toEqual([handler.spanId, transaction.spanId]);
  for (const table of ['audit.tool_intents', 'audit.tool_outcomes']) {
    tree(request, span(`api INSERT ${table} ${client}`));
  }
  expect(request.attributes).toMatchObject({
    'mcp.method.name': 'tools/call',
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'count',
    'jsonrpc.request.id': 'x-1',
    'network.transport': 'tcp',
    'systemprompt.execution.id': reply.headers['x-systemprompt-execution-id'],
  });
  expect(request.startedAt <= sending.startedAt && sending.endedAt <= request.endedAt).toBe(true);
  expect((await test.rowOf(reply)).trace_id).toBe(trace);
});

it('goes on in a program behind the bridge, which is told in _meta', async () => {
  const trace = 'aaf7651916cd43dd8448eb211c80319c';
  const reply = await test.send(
    JSON.stringify({ jsonrpc: '2.0', id: 5, method: 'tools/call', params: { name: 'meta', arguments: { big: 1 } } }),
    {
      authorization: `Bearer ${await test.token({ server: 'beta' })}`,
      traceparent: `00-${trace}-b7ad6b7169203331-01`,
    },
    'POST',
    '/api/v1/mcp/beta/mcp',
  );
  expect(reply.body).toContain('traceparent');
  const span = await spansOf(trace, 6);
  const leg = span(`mcp:beta tools/call meta ${client}`);
  tree(
    span(`api tools/call meta ${server}`),
    span(`api tools/call meta ${client}`),
    span(`mcp:beta tools/call meta ${server}`),
    leg,
  );
  expect(leg.attributes).toMatchObject({ 'network.transport': 'pipe' });
  expect(reply.json.result?.content?.[0]?.text).toBe(`{"traceparent":"00-${trace}-${leg.spanId}-01"}`);
});

it('takes the trace of the body before that of the headers, and links the other', async () => {
  const [trace, span] = ['cccc651916cd43dd8448eb211c80319c', '1111111111111111'];
  const inBody = `00-${trace}-${span}-01`;
  const _meta = { traceparent: inBody };
  const body = { jsonrpc: '2.0', id: 6, method: 'tools/call', params: { name: 'echo', arguments: {}, _meta } };
  const authorization = `Bearer ${await test.token({ server: 'gamma' })}`;
  const header = '00-dddd651916cd43dd8448eb211c80319c-2222222222222222-01';
  const path = '/api/v1/mcp/gamma/mcp';
  const reply = await test.send(JSON.stringify(body), { authorization, traceparent: header }, 'POST', path);
  const found = await spansOf(trace, 4);
  const request = found(`api tools/call echo ${server}`);
  expect([request.parentSpanId, request.links.map(({ spanId }) => spanId)]).toEqual([span, ['2222222222222222']]);
  const sent = (await test.seen()).requests.at(-1);
  const sending = `00-${trace}-${found(`api tools/call echo ${client}`).spanId}-01`;
  expect([sent?.headers['traceparent'], JSON.parse(sent?.body ?? '').params._meta.traceparent]).toEqual([
    sending,
    sending,
  ]);
  expect((await test.rowOf(reply)).trace_id).toBe(trace);
});

it('says what went wrong by its class, and never what was sent', async () => {
  const trace = 'eeee651916cd43dd8448eb211c80319c';
  const authorization = `Bearer ${await test.token({ server: 'gamma' })}`;
  const call = (name: string, traceparent: string) =>
    test.send(
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name, arguments: { text: 'canary-argument' } },
      }),
      { authorization, traceparent, 'mcp-session-id': 'canary-session' },
      'POST',
      '/api/v1/mcp/gamma/mcp',
    );
  await call('echo', `00-${trace}-3333333333333333-01`); // a session that there is not
  const plain = (name: string, traceparent: string) =>
    test.send(
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/call',
        params: { name, arguments: { text: 'canary-argument' } },
      }),
      { authorization, traceparent },
      'POST',
      '/api/v1/mcp/gamma/mcp',
    );
  const traces = ['1', '2', '3'].map((digit) => digit.repeat(32));
  await plain('tool_error', `00-${traces[0]}-3333333333333333-01`);
  await plain('rpc_error', `00-${traces[1]}-3333333333333333-01`);
  await plain('never', `00-${traces[2]}-3333333333333333-01`);
  const tool = (await spansOf(traces[0] as string, 4))(`api tools/call tool_error ${client}`);
  expect([tool.attributes['error.type'], tool.status]).toEqual(['tool_error', 2]);
  const rpc = (await spansOf(traces[1] as string, 4))(`api tools/call rpc_error ${client}`);
  expect(String(rpc.attributes['rpc.response.status_code'])).toMatch(/^-\d+$/);
  const denied = await spansOf(traces[2] as string, 3);
  tree(denied(`api tools/call never ${server}`), denied('api policy before 1'));
  expect(denied('api policy before 1').attributes['systemprompt.policy.said']).toEqual(['no-never: deny']);
  expect(denied(`api tools/call never ${server}`).attributes['error.type']).toBe('FORBIDDEN');
  const gone = (await spansOf(trace, 2))(`api tools/call echo ${server}`);
  expect([gone.attributes['error.type'], gone.attributes['mcp.session.id']]).toEqual([
    'NOT_FOUND',
    expect.stringMatching(/^[0-9a-f]{32}$/),
  ]);
  expect(receiver.text()).not.toMatch(/canary/);
});

it('leaves nothing out of what rules and hooks look at', () => {
  const watch = { before: vi.fn(), after: vi.fn(), during: vi.fn() };
  const traced = new RouterTracing(tracer).policy({ denies: () => false, watch: () => watch });
  const seen = traced.watch(serverConfig(), 'tool');
  expect(Object.keys(seen ?? {}).sort()).toEqual(Object.keys(watch).sort());
  seen?.during?.('{}', []);
  expect(watch.during).toHaveBeenCalledWith('{}', []);
});
