import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Credentials,
  challengeFor,
  insufficientScope,
  type ProtectedResource,
  readCredentials,
} from '../../../../src/lib/domain/auth/index.ts';
import { type AppError, NotFoundError, UnauthenticatedError, UsageError } from '../../../../src/lib/shared/errors.ts';

const resource: ProtectedResource = {
  audience: 'http://localhost:8080/api/v1/mcp/alpha/mcp',
  metadataUrl: 'http://localhost:8080/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp',
  scopes: ['user', 'tools:read'],
};
const metadata = `resource_metadata="${resource.metadataUrl}"`;

function read(rawHeaders: string[], url = '/api/v1/mcp/alpha/mcp'): Credentials | { error: AppError } {
  try {
    return readCredentials({ rawHeaders, url, method: 'POST' });
  } catch (error) {
    if (error instanceof UsageError || error instanceof UnauthenticatedError) return { error };
    throw error;
  }
}

function refused(rawHeaders: string[], url?: string): AppError {
  const result = read(rawHeaders, url);
  if ('token' in result) throw new Error(`accepted ${result.token}`);
  return result.error;
}

describe('bearer token of a request', () => {
  it.each([
    ['Bearer abc.DEF-1_2~+/==', 'abc.DEF-1_2~+/=='],
    ['bearer abc', 'abc'],
    ['BEARER   abc', 'abc'],
    ['Bearer abc ', 'abc'],
  ])('is taken from %j', (value, token) => {
    expect(read(['Host', 'x', 'Authorization', value])).toEqual({ token });
    expect(read(['authorization', value])).toEqual({ token });
  });

  it.each([
    [[]],
    [['Authorization', '']],
    [['Authorization', 'Basic YTpi']],
    [['Authorization', 'Bearerabc']],
    [['X-Authorization', 'Bearer abc']],
  ])('is missing in %j', (headers) => expect(refused(headers).data.reason).toBe('missing'));

  it.each([
    'Bearer',
    'Bearer a b',
    'Bearer a,b',
    'Bearer a, Bearer b',
    'Bearer =',
    'Bearer "a"',
    'Bearer\ta',
    'Bearer ä',
    'Bearer a=b',
  ])('is malformed in %j', (value) => {
    const error = refused(['Authorization', value]);
    expect([error.code, error.data.reason]).toEqual(['UNAUTHENTICATED', 'malformed']);
  });

  it('auth 14: comes from the Authorization header alone, and once', () => {
    for (const url of ['/x?access_token=abc', '/x?a=1&access_token=abc', '/x?ACCESS_TOKEN=abc']) {
      expect(refused([], url).data.reason).toBe('invalid_request');
      expect(refused(['Authorization', 'Bearer abc'], url).data.reason).toBe('invalid_request');
    }
    const twice = refused(['Authorization', 'Bearer abc', 'authorization', 'Bearer abc']);
    expect([twice.code, twice.data.reason]).toEqual(['USAGE', 'invalid_request']);
  });

  it('auth 53: any header is accepted or refused, never a fault', () => {
    const value = fc.oneof(
      fc.string(),
      fc.string().map((text) => `Bearer ${text}`),
      fc.string({ unit: 'binary' }),
    );
    const header = fc.tuple(fc.constantFrom('Authorization', 'AUTHORIZATION', 'Host', ''), value);
    fc.assert(
      fc.property(fc.array(header, { maxLength: 4 }), fc.webPath(), (headers, url) => {
        const result = read(headers.flat(), url);
        if ('token' in result) expect(result.token).toMatch(/^[\w\-.~+/]+=*$/);
        else expect(challengeFor(result.error, resource)?.status).toBeGreaterThanOrEqual(400);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('auth 32: the challenge', () => {
  it('auth 23: of a server that takes bound tokens alone, and for a proof that does not hold, is DPoP with its algorithms', () => {
    const bound = { ...resource, requireDpop: true };
    const missing = challengeFor(new UnauthenticatedError('x', { data: { reason: 'missing' } }), bound);
    const algs = 'algs="ES256 EdDSA ES384 PS256 RS256"';
    expect(missing).toEqual({ status: 401, header: `DPoP ${metadata}, scope="user tools:read", ${algs}` });
    for (const [reason, code] of [
      ['proof', 'invalid_dpop_proof'],
      ['replayed', 'invalid_dpop_proof'],
      ['bound', 'invalid_token'],
    ]) {
      const header = challengeFor(new UnauthenticatedError('x', { data: { reason } }), resource)?.header;
      expect(header).toBe(`DPoP error="${code}", error_description="x", ${metadata}, scope="user tools:read", ${algs}`);
    }
  });

  it('auth 23: by the scheme DPoP a token comes with one proof, and with the address that it was sent to', () => {
    const headers = ['Authorization', 'DPoP abc', 'DPoP', 'p'];
    const shown = { proof: 'p', method: 'POST', path: '/api/v1/mcp/alpha/mcp' };
    expect(read(headers, '/api/v1/mcp/alpha/mcp?x=1')).toEqual({ token: 'abc', shown });
    expect(refused(headers.slice(0, 2)).data.reason).toBe('proof');
    expect(refused([...headers, 'dpop', 'q']).data.reason).toBe('proof');
  });

  it('of a request without a token names metadata and scopes, and no error', () => {
    expect(challengeFor(refused([]), resource)).toEqual({
      status: 401,
      header: `Bearer ${metadata}, scope="user tools:read"`,
    });
  });

  it('of a token that is not good says so', () => {
    expect(challengeFor(refused(['Authorization', 'Bearer']), resource)).toEqual({
      status: 401,
      header: `Bearer error="invalid_token", error_description="The access token is malformed", ${metadata}, scope="user tools:read"`,
    });
  });

  it('of a caller who lacks scopes asks for the held and the needed ones together', () => {
    const error = insufficientScope(['user', 'tools:read'], ['user', 'tools:write']);
    expect(error.data.missing).toEqual(['tools:write']);
    expect(challengeFor(error, resource)).toEqual({
      status: 403,
      header: `Bearer error="insufficient_scope", error_description="This needs the scope tools:write", ${metadata}, scope="user tools:read tools:write"`,
    });
  });

  it('of a token sent in two ways is 400', () => {
    expect(challengeFor(refused(['Authorization', 'Bearer a'], '/?access_token=a'), resource)).toMatchObject({
      status: 400,
    });
  });

  it('cannot be broken out of, and is for refusals only', () => {
    const hostile = new UnauthenticatedError('no"\\\r\nSet-Cookie: a=b', { data: { reason: 'x' } });
    expect(challengeFor(hostile, resource)?.header).toContain('error_description="noSet-Cookie: a=b"');
    expect(challengeFor(new NotFoundError('none'), resource)).toBeUndefined();
  });
});
