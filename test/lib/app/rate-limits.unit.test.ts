import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OwnAllowances } from '../../../src/lib/app/rate-limit/quota.ts';
import { type Caller, type Counted, RateLimiter } from '../../../src/lib/app/rate-limits.ts';
import { type RateLimitSettings, rateLimitsSection } from '../../../src/lib/infra/config/profile-rate-limits.ts';

function limiter(settings: Partial<RateLimitSettings> = {}, server: { trusted_proxies?: readonly string[] } = {}) {
  const clock = { now: 1000 };
  const all = { ...rateLimitsSection.parse({}), ...settings };
  return {
    clock,
    limiter: new RateLimiter(all, { trusted_proxies: [], ...server }, new OwnAllowances(() => clock.now)),
  };
}

const user = (name: string, ...scopes: string[]): Caller => ({ user: name, client: 'test', scopes });
/** In this process's memory the answer comes at once. */
const count = (rate: RateLimiter, caller: Caller, group: 'mcp' | 'oauth_public' = 'mcp') =>
  rate.count(group, caller) as Counted;
function from(address: string | undefined, forwarded?: string): Caller {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return { request: { headers, socket: { remoteAddress: address } as IncomingMessage['socket'] } };
}

/** How many in a row are taken. */
function takes(rate: RateLimiter, caller: Caller, group: 'mcp' | 'oauth_public' = 'mcp'): number {
  let taken = 0;
  while (taken < 100_000 && count(rate, caller, group).error === undefined) taken += 1;
  return taken;
}

describe('a caller', () => {
  it('who was quiet may send a burst, and then at the rate', () => {
    const { clock, limiter: rate } = limiter({ mcp_per_second: 20, burst_multiplier: 3 });
    const anna = user('anna', 'user');
    expect(takes(rate, anna)).toBe(60);
    clock.now += 50;
    expect(takes(rate, anna)).toBe(1);
    clock.now += 1000;
    expect(takes(rate, anna)).toBe(20);
    clock.now += 60_000;
    expect(takes(rate, anna)).toBe(60);
  });

  it('is counted apart from others, and each group of addresses apart', () => {
    const { limiter: rate } = limiter({ mcp_per_second: 1, oauth_public_per_second: 1, burst_multiplier: 1 });
    expect(takes(rate, user('anna'))).toBe(1);
    expect(takes(rate, user('bert'))).toBe(1);
    expect(takes(rate, user('anna'), 'oauth_public')).toBe(1);
    expect(takes(rate, user('anna'))).toBe(0);
  });

  it.each([
    [['admin'], 200],
    [['user', 'tools:read'], 20],
    [['user', 'admin'], 200],
    [['service'], 100],
    [['a2a'], 100],
    [['mcp'], 100],
    [['tools:read'], 20],
    [[], 20],
    [['anonymous'], 10],
  ])('with the scopes %j gets %d', (scopes, expected) => {
    const { limiter: rate } = limiter({ mcp_per_second: 20, burst_multiplier: 1 });
    expect(takes(rate, user('x', ...scopes))).toBe(expected);
  });

  it('without a token is its address, of IPv6 its network', () => {
    const { limiter: rate } = limiter({ mcp_per_second: 2, burst_multiplier: 1 });
    expect(takes(rate, from('192.0.2.1'))).toBe(1);
    expect(takes(rate, from('::ffff:192.0.2.1'))).toBe(0);
    expect(takes(rate, from('192.0.2.2'))).toBe(1);
    expect(takes(rate, from('2001:db8::1'))).toBe(1);
    expect(takes(rate, from('2001:db8:0:0:9::2'))).toBe(0);
    expect(takes(rate, from('2001:db8:0:1::1'))).toBe(1);
    expect(takes(rate, from(undefined))).toBe(1);
  });

  it('behind a trusted proxy is who the proxy says, and nobody else says', () => {
    const { limiter: rate } = limiter(
      { mcp_per_second: 2, burst_multiplier: 1 },
      { trusted_proxies: ['10.0.0.0/8', '::1'] },
    );
    expect(takes(rate, from('10.0.0.1', '192.0.2.1'))).toBe(1);
    // What the client itself put in front does not count.
    expect(takes(rate, from('10.0.0.1', '203.0.113.9, 192.0.2.1'))).toBe(0);
    expect(takes(rate, from('::1', '192.0.2.1, 10.2.3.4'))).toBe(0);
    expect(takes(rate, from('192.0.2.7', '192.0.2.8'))).toBe(1);
    expect(takes(rate, from('192.0.2.7', '192.0.2.9'))).toBe(0);
    expect(takes(rate, from('10.0.0.1', 'nonsense'))).toBe(1);
    expect(takes(rate, from('10.0.0.1'))).toBe(0);
  });

  it('is held by its client too, all users of it together', () => {
    const { limiter: rate } = limiter({ mcp_per_second: 2, burst_multiplier: 1, client_multiplier: 2 });
    expect(takes(rate, user('anna', 'user'))).toBe(2);
    expect(takes(rate, user('bert', 'user'))).toBe(2);
    expect(takes(rate, user('carl', 'user'))).toBe(0);
    expect(takes(rate, { user: 'dora', client: 'another', scopes: ['user'] })).toBe(2);
  });

  it('is told what is left, and when to come back', () => {
    const { clock, limiter: rate } = limiter({ mcp_per_second: 0.5, burst_multiplier: 4 });
    const anna = user('anna', 'user');
    expect(count(rate, anna)).toEqual({
      headers: { 'ratelimit-policy': '"mcp";q=2;w=4', ratelimit: '"mcp";r=1;t=2' },
    });
    count(rate, anna);
    clock.now += 500;
    const { error, headers } = count(rate, anna);
    expect(headers).toEqual({ 'ratelimit-policy': '"mcp";q=2;w=4', ratelimit: '"mcp";r=0;t=4', 'retry-after': '2' });
    expect(error).toMatchObject({
      code: 'RATE_LIMITED',
      data: { group: 'mcp', per_second: 0.5, retry_after_seconds: 2 },
    });
    clock.now += 1500;
    expect(count(rate, anna).error).toBeUndefined();
  });

  it('gets no more than burst and rate allow, and in once it has waited as it was told', () => {
    const rates = fc.double({ min: 0.05, max: 500, noNaN: true });
    const bursts = fc.double({ min: 1, max: 20, noNaN: true });
    const pauses = fc.array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(rates, bursts, pauses, (perSecond, burst, waits) => {
        const { clock, limiter: rate } = limiter({ mcp_per_second: perSecond, burst_multiplier: burst });
        const begin = clock.now;
        const anna = user('anna', 'user');
        let taken = 0;
        for (const wait of waits) {
          clock.now += wait;
          const { error, headers } = count(rate, anna);
          if (error === undefined) taken += 1;
          const bound = Math.max(1, perSecond * burst) + ((clock.now - begin) / 1000) * perSecond;
          expect(taken).toBeLessThanOrEqual(bound + 1e-6);
          if (error === undefined) continue;
          clock.now += Number(headers['retry-after']) * 1000;
          expect(count(rate, anna).error).toBeUndefined();
          taken += 1;
        }
      }),
      { numRuns: 200 },
    );
  });
});
