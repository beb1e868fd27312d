import { afterAll, beforeAll, expect, it } from 'vitest';
import { OwnAllowances } from '../../../../src/lib/app/rate-limit/quota.ts';
import { RateLimiter } from '../../../../src/lib/app/rate-limits.ts';
import { rateLimitsSection } from '../../../../src/lib/infra/config/profile-rate-limits.ts';
import { ApiMetrics } from '../../../../src/lib/infra/telemetry/api-metrics.ts';
import { parseScrape } from '../../../helpers/prometheus.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

let test: TestGateway;
let metrics: ApiMetrics;

beforeAll(async () => {
  const names = { instanceId: 'run-1', service: 'api', version: '9.9.9' };
  metrics = new ApiMetrics({ ...names, servers: ['alpha', 'beta'], rateGroups: ['mcp', 'stream'] });
  const settings = { ...rateLimitsSection.parse({ enabled: true }), mcp_per_second: 0.01, burst_multiplier: 1000 };
  const server = { trusted_proxies: [] };
  test = await openTestGateway({
    metrics,
    rateLimiter: new RateLimiter(settings, server, new OwnAllowances(() => 0), (group) =>
      metrics.rateLimitRefusal(group),
    ),
    servers: [
      serverConfig({
        tools: new Map([
          ['never', { scopes: [], timeoutMs: 200, secret: new Set<string>() }],
          ['guarded', { scopes: ['admin'], secret: new Set<string>() }],
        ]),
      }),
    ],
    limits: { body_bytes: 1000, call_timeout_ms: 3_000 },
  });
});
afterAll(async () => {
  await test.close();
  metrics.close();
});

async function calls(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { labels, value } of parseScrape(await metrics.text()).find('systemprompt_mcp_tool_calls_total')) {
    const series = `${labels['server']} ${labels['outcome']} ${labels['reason']}`;
    found[series] = (found[series] ?? 0) + value;
  }
  return found;
}

it('counts each tool call once, by what the audit has of it', async () => {
  expect(await calls()).toEqual({ 'alpha success none': 0, 'beta success none': 0 });
  await test.call('echo', { canary: 'secret-argument' });
  await test.call('echo');
  await test.call('tool_error', { text: 'no' });
  await test.call('rpc_error', { text: 'no' });
  await test.call('garbage');
  await test.call('never');
  await test.call('guarded');
  await test.send('x'.repeat(2000));
  await test.send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}');
  await test.send('{}');
  expect((await test.call('echo', {}, { authorization: 'Bearer nonsense' })).status).toBe(401);
  // The rest of what this caller may: 1000 seconds' worth of 0.01 a second.
  expect((await test.call('echo')).status).toBe(429);
  const counted = await calls();
  expect(counted).toMatchObject({
    'alpha success none': 2,
    'alpha error TOOL_ERROR': 1,
    'alpha error ANSWER_FAILED': 1,
    'alpha error UPSTREAM_FAILED': 1,
    'alpha error TIMEOUT': 1,
    'alpha refused FORBIDDEN': 1,
    'alpha refused TOO_LARGE': 1,
    'alpha refused RATE_LIMITED': 1,
    'beta success none': 0,
  });
  const rows = await test.rowsOf();
  expect(Object.values(counted).reduce((sum, value) => sum + value, 0)).toBe(rows.length);
  expect(counted['alpha success none']).toBe(rows.filter(({ status }) => status === 'success').length);
  const text = await metrics.text();
  const found = parseScrape(text);
  expect(found.sum('systemprompt_mcp_tool_call_duration_seconds_count')).toBe(rows.length);
  const of = (tool: string) => found.sum('systemprompt_mcp_tool_calls_total', { server: 'alpha', tool });
  expect([of('never'), of('guarded')]).toEqual([1, 1]);
  // What the server is not known to have: a name that callers made up makes no series.
  expect([of('echo'), of('other')]).toEqual([0, rows.length - 2]);
  expect(found.sum('systemprompt_mcp_tool_call_duration_seconds_sum', { outcome: 'error' })).toBeGreaterThan(0.19);
  expect(found.sum('systemprompt_audit_commit_duration_seconds_count', { result: 'committed' })).toBeGreaterThan(5);
  expect(found.sum('systemprompt_audit_commit_duration_seconds_count', { result: 'failed' })).toBe(0);
  expect(found.sum('systemprompt_rate_limit_refusals_total', { group: 'mcp' })).toBe(1);
  expect(found.find('systemprompt_rate_limit_refusals_total', { group: 'stream' })).toHaveLength(1);
  for (const word of ['secret-argument', 'echo', test.user.id, 'owner']) expect(text).not.toContain(word);
});
