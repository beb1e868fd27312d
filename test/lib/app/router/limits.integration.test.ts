import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { OwnAllowances } from '../../../../src/lib/app/rate-limit/quota.ts';
import type { ServiceEndpoint } from '../../../../src/lib/app/supervisor/directory.ts';
import { ApiMetrics } from '../../../../src/lib/infra/telemetry/api-metrics.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

const clock = { now: 1000 };
const metrics = new ApiMetrics({
  instanceId: 'i',
  service: 'api',
  version: '0',
  servers: ['alpha', 'beta'],
  rateGroups: [],
});
let test: TestGateway;

beforeAll(async () => {
  const limited = {
    scopes: [],
    secret: new Set<string>(),
    rateLimit: { requests: 2, perSeconds: 60, per: 'user' as const },
  };
  test = await openTestGateway({
    servers: [
      serverConfig({
        rateLimit: { requests: 5, perSeconds: 10, per: 'client' },
        tools: new Map([['tool_error', limited]]),
      }),
      serverConfig({
        name: 'beta',
        breaker: { failures: 2, cooldownMs: 60_000 },
        tools: new Map([['never', { scopes: [], secret: new Set<string>(), timeoutMs: 100 }]]),
      }),
    ],
    limits: { call_timeout_ms: 2_000 },
    allowances: new OwnAllowances(() => clock.now),
    metrics,
  });
});
afterAll(async () => {
  await test.close();
  metrics.close();
});
afterEach(() => {
  clock.now += 600_000;
  expect(test.unhandled).toEqual([]);
});

const list = '{"jsonrpc":"2.0","id":5,"method":"tools/list"}';

it('a tool is called no oftener than its limit: 429, when to try again, and a row', async () => {
  for (let n = 0; n < 2; n += 1) expect((await test.call('tool_error', { text: 'x' })).status).toBe(200);
  await test.seen();
  const refused = await test.call('tool_error', { text: 'x' }, {}, 'id-7');
  expect(refused.status).toBe(429);
  expect(refused.headers['retry-after']).toBe('30');
  expect(refused.json).toMatchObject({
    id: 'id-7',
    error: {
      message: 'The tool tool_error of alpha takes 2 in 60 s for each user.',
      data: { code: 'RATE_LIMITED', retry_after_seconds: 30 },
    },
  });
  expect(await test.rowOf(refused)).toMatchObject({ tool: 'tool_error', decision: 'refused', status: 'refused' });
  expect((await test.seen()).requests).toHaveLength(0);
  // Of the server's own five three are left: what a tool refuses costs nothing of them.
  for (let n = 0; n < 3; n += 1) expect((await test.call('echo')).status).toBe(200);
  expect((await test.call('echo')).status).toBe(429);
});

it('a server’s limit is for all that is asked of it, each client for itself', async () => {
  for (let n = 0; n < 5; n += 1) expect((await test.send(list)).status).toBe(200);
  const refused = await test.send(list);
  expect(refused.status).toBe(429);
  expect(refused.headers['retry-after']).toBe('2');
  expect(refused.json).toMatchObject({ id: 5, error: { data: { code: 'RATE_LIMITED' } } });
  const other = { authorization: `Bearer ${await test.token({ client: 'other' })}` };
  expect((await test.send(list, other)).status).toBe(200);
});

it('a server that lets callers wait in vain gets nothing for a while; each refusal is a row, and the measures say so', async () => {
  const beta = { authorization: `Bearer ${await test.token({ server: 'beta' })}` };
  const path = '/api/v1/mcp/beta/mcp';
  const never = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'never', arguments: {} },
  });
  for (let n = 0; n < 2; n += 1) expect((await test.send(never, beta, 'POST', path)).status).toBe(504);
  await test.seen();
  const refused = await test.send(never, beta, 'POST', path);
  expect(refused.status).toBe(503);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(55);
  expect(refused.json).toMatchObject({
    error: {
      data: { code: 'UPSTREAM_UNAVAILABLE', reason: 'circuit_open', retry_after_seconds: expect.any(Number) as number },
    },
  });
  expect(await test.rowOf(refused)).toMatchObject({ decision: 'refused', status: 'refused' });
  expect((await test.send(list, beta, 'POST', path)).status).toBe(503);
  expect((await test.seen()).requests).toHaveLength(0);
  expect(test.gateway.circuitOf('beta')).toBe('open');
  expect(test.gateway.circuitOf('alpha')).toBe('closed');
  const text = await metrics.text();
  expect(text).toMatch(/systemprompt_mcp_circuit_state\{server="beta"[^}]*\} 2/);
  expect(text).toMatch(/systemprompt_mcp_circuit_openings_total\{server="beta"[^}]*\} 1/);
  // Others are not concerned.
  expect((await test.call('echo')).status).toBe(200);
  // A new run of the server is not made to wait for what the one before it did, though no request has found it yet.
  const before = test.endpoints.get('mcp:beta') as ServiceEndpoint;
  test.endpoints.set('mcp:beta', { ...before, instanceId: randomUUID() as ServiceInstanceId });
  test.announce();
  expect((await test.send(list, beta, 'POST', path)).status).toBe(200);
  expect(test.gateway.circuitOf('beta')).toBe('closed');
});
