import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { OwnAllowances } from '../../../../src/lib/app/rate-limit/quota.ts';
import { RateLimiter } from '../../../../src/lib/app/rate-limits.ts';
import { rateLimitsSection } from '../../../../src/lib/infra/config/profile-rate-limits.ts';
import { openTestGateway, type TestGateway } from './gateway.ts';

const clock = { now: 1000 };
const settings = { ...rateLimitsSection.parse({}), mcp_per_second: 2, burst_multiplier: 1 };
let test: TestGateway;

beforeAll(async () => {
  const server = { trusted_proxies: [] };
  test = await openTestGateway({ rateLimiter: new RateLimiter(settings, server, new OwnAllowances(() => clock.now)) });
});
afterAll(() => test.close());
afterEach(() => {
  clock.now += 60_000;
  expect(test.unhandled).toEqual([]);
});

it('a call too many is refused as JSON-RPC and recorded like every refusal; the server never sees it', async () => {
  const made = await test.call('echo', { a: 1 });
  expect(made.status).toBe(200);
  expect(made.headers).toMatchObject({ 'ratelimit-policy': '"mcp";q=2;w=1', ratelimit: '"mcp";r=1;t=1' });
  await test.call('echo');
  await test.seen();
  const refused = await test.call('echo', { password: 'hunter2-hunter2' }, {}, 'id-9');
  expect(refused.status).toBe(429);
  expect(refused.headers).toMatchObject({ 'retry-after': '1', ratelimit: '"mcp";r=0;t=1' });
  expect(refused.json).toMatchObject({ id: 'id-9', error: { code: -32_000, data: { code: 'RATE_LIMITED' } } });
  expect(await test.rowOf(refused)).toMatchObject({
    tool: 'echo',
    decision: 'refused',
    status: 'refused',
    error: 'Too many requests.',
  });
  expect(JSON.stringify(await test.rowOf(refused))).not.toContain('hunter2');
  expect((await test.seen()).requests).toHaveLength(0);
  clock.now += 1000;
  expect((await test.call('echo')).status).toBe(200);
});

it('what is no call is refused without a row, whatever its method', async () => {
  const list = JSON.stringify({ jsonrpc: '2.0', id: 5, method: 'tools/list' });
  await test.send(list);
  await test.send(list);
  const rows = (await test.rowsOf()).length;
  const refused = await test.send(list);
  expect(refused.status).toBe(429);
  expect(refused.json).toMatchObject({ id: 5, error: { data: { code: 'RATE_LIMITED' } } });
  expect((await test.send('', {}, 'GET')).status).toBe(429);
  expect(await test.rowsOf()).toHaveLength(rows);
});

it('who has no good token is counted by address, and not as the user it may claim to be', async () => {
  const guess = () => test.call('echo', {}, { authorization: 'Bearer nonsense' });
  expect((await guess()).status).toBe(401);
  const refused = await guess();
  expect(refused.status).toBe(429);
  expect(refused.headers['www-authenticate']).toBeUndefined();
  expect((await test.call('echo')).status).toBe(200);
});
