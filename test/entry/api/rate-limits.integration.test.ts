import { afterAll, beforeAll, expect, it } from 'vitest';
import { instanceAudience } from '../../../src/lib/app/identity.ts';
import { OwnAllowances } from '../../../src/lib/app/rate-limit/quota.ts';
import { RateLimiter } from '../../../src/lib/app/rate-limits.ts';
import { rateLimitsSection } from '../../../src/lib/infra/config/profile-rate-limits.ts';
import { startTestApi, type TestApi } from '../../helpers/api.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from '../../helpers/identity.ts';

const clock = { now: 1000 };
let test: TestIdentity;
let api: TestApi;
let bearer: string;

beforeAll(async () => {
  test = await openTestIdentity();
  const settings = { ...rateLimitsSection.parse({}), oauth_public_per_second: 4, mcp_registry_per_second: 4 };
  const server = { trusted_proxies: [] };
  const rateLimiter = new RateLimiter({ ...settings, burst_multiplier: 1 }, server, new OwnAllowances(() => clock.now));
  api = await startTestApi(test.identity.verifier, { rateLimiter });
  const { users, sessions, issuer } = test.identity;
  const user = await users.ensureOwner();
  const session = await sessions.begin({ userId: user.id, client: 'test', ttlSeconds: 600 });
  const audience = instanceAudience(externalUrl);
  const request = { user, sessionId: session.id, audience, scopes: ['user'], ttlSeconds: 600, client: 'test' };
  bearer = (await issuer.issue(request)).token;
});
afterAll(async () => {
  await api?.close();
  await test?.close();
});

async function statuses(path: string, times: number, token?: string): Promise<Response[]> {
  const answers: Response[] = [];
  for (let turn = 0; turn < times; turn += 1) {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    answers.push(await fetch(`${api.url}${path}`, { headers }));
  }
  return answers;
}
const codes = (answers: readonly Response[]) => answers.map(({ status }) => status);

it('one request too many is a problem with Retry-After, each caller and each group by itself', async () => {
  const anonymous = await statuses('/.well-known/jwks.json', 3);
  expect(codes(anonymous)).toEqual([200, 200, 429]);
  expect(anonymous[0]?.headers.get('ratelimit')).toBe('"oauth_public";r=1;t=1');
  const refused = anonymous[2];
  expect(refused?.headers.get('retry-after')).toBe('1');
  expect(refused?.headers.get('ratelimit-policy')).toBe('"oauth_public";q=2;w=1');
  expect(refused?.headers.get('content-type')).toContain('application/problem+json');
  expect(await refused?.json()).toMatchObject({
    type: 'urn:systemprompt:error:rate-limited',
    status: 429,
    code: 'RATE_LIMITED',
    detail: 'Too many requests.',
    data: { group: 'oauth_public', retry_after_seconds: 1 },
  });
  expect(codes(await statuses('/api/v1/mcp/registry', 3))).toEqual([200, 200, 429]);
  expect(codes(await statuses('/api/v1/mcp/registry', 5, bearer))).toEqual([200, 200, 200, 200, 429]);
  clock.now += 1000;
  expect(codes(await statuses('/.well-known/jwks.json', 1))).toEqual([200]);
});

it('guesses at addresses and at tokens are counted; probes are not', async () => {
  clock.now += 60_000;
  expect(codes(await statuses('/nothing', 3))).toEqual([404, 404, 429]);
  expect(codes(await statuses('/api/v1/mcp/registry', 3, 'x.y.z'))).toEqual([401, 401, 429]);
  expect(codes(await statuses('/healthz', 20))).toEqual(Array.from({ length: 20 }, () => 200));
  expect(codes(await statuses('/readyz', 5))).toEqual([200, 200, 200, 200, 200]);
});
