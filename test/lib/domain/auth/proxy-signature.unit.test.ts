import { createHmac, createSecretKey, hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isProxied, isSignedBody, verifyProxied } from '../../../../src/lib/domain/auth/proxy-signature.ts';
import { type ProxiedRequest, signProxied } from '../../../helpers/proxied.ts';

const secret = Buffer.alloc(32, 7);
const keys = new Map([['edge', { id: 'edge', key: createSecretKey(secret), maxAgeSeconds: 30 }]]);
const userId = '11111111-2222-4333-8444-555555555555';
const now = 1_800_000_000;

function signed(change: Partial<ProxiedRequest> = {}) {
  return signProxied({ secret, keyId: 'edge', userId, permissions: 'user tools:read', created: now, ...change });
}
const verify = (request: ReturnType<typeof signed>) => verifyProxied(request, keys, now + 1);
const refusal = expect.objectContaining({ code: 'UNAUTHENTICATED', data: { reason: 'proxy' } });

describe('what a proxy says of a caller', () => {
  it('counts when the proxy signed it with this very request', () => {
    const body = Buffer.from('{"jsonrpc":"2.0"}');
    const said = verify(signed({ method: 'POST', url: '/api/v1/mcp/a/mcp?x=1', body }));
    expect(said).toMatchObject({
      proxyId: 'edge',
      userId,
      permissions: ['user', 'tools:read'],
      until: (now + 30) * 1000,
    });
    expect(isSignedBody(body, said.bodyDigest)).toBe(true);
    expect(isSignedBody(Buffer.from('{}'), said.bodyDigest)).toBe(false);
  });

  it('is signed as RFC 9421 says', () => {
    // Section 2.5: the base; section 3.3.3: HMAC-SHA256. Written out by hand.
    const params =
      '("@method" "@authority" "@path" "@query" "x-proxy-verified" "x-user-id" "x-user-permissions")' +
      ';created=1800000000;expires=1800000030;nonce="n0123456789abcdef";keyid="edge";alg="hmac-sha256"';
    const base = [
      '"@method": GET',
      '"@authority": localhost:8080',
      '"@path": /api/v1/mcp/a/mcp',
      '"@query": ?',
      '"x-proxy-verified": true',
      `"x-user-id": ${userId}`,
      '"x-user-permissions": user',
      `"@signature-params": ${params}`,
    ].join('\n');
    const signature = createHmac('sha256', secret).update(base).digest('base64');
    const headers = {
      Host: 'LOCALHOST:8080',
      'X-Proxy-Verified': 'true',
      'X-User-Id': userId,
      'X-User-Permissions': 'user',
      'Signature-Input': `proxy=${params}`,
      Signature: `proxy=:${signature}:`,
    };
    const request = { method: 'GET', url: '/api/v1/mcp/a/mcp', rawHeaders: Object.entries(headers).flat() };
    expect(verify(request)).toMatchObject({ userId, nonce: 'n0123456789abcdef', bodyDigest: undefined });
  });

  const changed = (name: string, value: string | undefined) => (request: ReturnType<typeof signed>) => ({
    ...request,
    rawHeaders: request.rawHeaders.flatMap((text, at, all) => {
      if (at % 2 === 1) return [];
      if (text.toLowerCase() !== name) return [text, all[at + 1] ?? ''];
      return value === undefined ? [] : [text, value];
    }),
  });
  const added = (name: string, value: string) => (request: ReturnType<typeof signed>) => ({
    ...request,
    rawHeaders: [...request.rawHeaders, name, value],
  });

  it.each<[string, (request: ReturnType<typeof signed>) => ReturnType<typeof signed>]>([
    ['another method', (request) => ({ ...request, method: 'DELETE' })],
    ['another path', (request) => ({ ...request, url: '/api/v1/mcp/b/mcp' })],
    ['another query', (request) => ({ ...request, url: `${request.url}?admin=1` })],
    ['another host', changed('host', 'evil.example')],
    ['another user', changed('x-user-id', '99999999-2222-4333-8444-555555555555')],
    ['more permissions', changed('x-user-permissions', 'admin')],
    ['another word than true', changed('x-proxy-verified', 'TRUE')],
    ['no signature', changed('signature', undefined)],
    ['no input', changed('signature-input', undefined)],
    ['an empty signature', changed('signature', 'proxy=::')],
    ['a second user', added('x-user-id', userId)],
    ['a second signature', added('signature', 'proxy=:AAAA:')],
    ['a body that was not signed', added('content-length', '10')],
    ['chunks that were not signed', added('transfer-encoding', 'chunked')],
  ])('counts for nothing with %s', (_, change) => {
    expect(() => verify(change(signed()))).toThrow(refusal);
  });

  it.each<[string, Partial<ProxiedRequest>]>([
    ['by another key', { secret: Buffer.alloc(32, 8) }],
    ['by a key that is not configured', { keyId: 'other' }],
    ['too long ago', { created: now - 40 }],
    ['in the future', { created: now + 60 }],
    ['for longer than is allowed', { expires: now + 600 }],
    ['with an end before its beginning', { expires: now - 1 }],
    [
      'without the user',
      { components: ['@method', '@authority', '@path', '@query', 'x-proxy-verified', 'x-user-permissions'] },
    ],
    ['without anything', { components: [] }],
    ['with a short nonce', { nonce: 'short' }],
    ['for a user who is no id', { userId: 'owner' }],
    ['for nothing', { permissions: '' }],
  ])('counts for nothing when it is signed %s', (_, change) => {
    expect(() => verify(signed(change))).toThrow(refusal);
  });

  it('is looked for in any of its headers', () => {
    expect(isProxied(signed())).toBe(true);
    expect(isProxied({ rawHeaders: ['X-USER-ID', 'x'] })).toBe(true);
    expect(isProxied({ rawHeaders: ['host', 'x-user-id'] })).toBe(false);
  });

  it('takes a body for unsigned when a digest of another kind is given', () => {
    const request = signed({
      method: 'POST',
      body: Buffer.from('{}'),
      digest: `sha-512=:${hash('sha512', '{}', 'base64')}:`,
    });
    expect(() => verify(request)).toThrow(refusal);
  });
});
