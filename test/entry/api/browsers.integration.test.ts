import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serverSection } from '../../../src/lib/infra/config/profile-server.ts';
import { startTestApi, type TestApi } from '../../helpers/api.ts';
import { externalUrl } from '../../helpers/identity.ts';

const nobody = { jwks: { keys: [] }, verify: () => Promise.reject(new Error('not asked')) };
const page = 'http://localhost:5173';
const other = 'https://console.example.com';
const settings = serverSection.parse({}).security_headers;

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi(nobody, {
    web: { corsAllowedOrigins: [page, other], otherAddresses: ['https://inner.example'], securityHeaders: settings },
  });
});
afterAll(() => api.close());

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

function ask(path: string, headers: Record<string, string> = {}, method = 'GET', port = api.endpoint.port) {
  return new Promise<Answer>((done, fail) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      method,
      agent: false,
      headers: { host: 'localhost:8080', ...headers },
    };
    const request = httpRequest(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => done({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.once('error', fail).end();
  });
}

/** By the framework, by the door of MCP, and by the framework's route to MCP. */
const ways = [
  ['the framework', '/api/v1/mcp/registry', 200],
  ['an address where nothing is', '/nothing', 404],
  ['the door of MCP', '/api/v1/mcp/alpha/mcp', 401],
  ['another spelling of it', '/api/v1/mcp/%61lpha/mcp', 401],
] as const;

describe.each(ways)('a page of another site, by %s', (_way, path, status) => {
  const expected = status === 401 ? expect.any(Number) : status;

  it('auth 36: that may call reads the answer', async () => {
    for (const origin of [page, other]) {
      const answer = await ask(path, { origin });
      expect(answer.status).toEqual(expected);
      expect(answer.headers['access-control-allow-origin']).toBe(origin);
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
      expect(answer.headers.vary).toBe('Origin');
      for (const name of ['Mcp-Session-Id', 'WWW-Authenticate']) {
        expect(answer.headers['access-control-expose-headers']).toContain(name);
      }
    }
  });

  it('auth 36: that may call is told what it may send', async () => {
    const asked = 'authorization,content-type,mcp-protocol-version,mcp-session-id,x-evil';
    const answer = await ask(
      path,
      { origin: page, 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
      'OPTIONS',
    );
    expect(answer).toMatchObject({ status: 204, text: '' });
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': page,
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers': 'authorization, content-type, mcp-protocol-version, mcp-session-id',
      'access-control-max-age': '600',
    });
  });

  it.each(['http://localhost:5174', 'https://console.example.com.evil', 'null', 'http://LOCALHOST:5173'])(
    'that may not (%s) is refused, its question ahead too',
    async (origin) => {
      for (const [method, more] of [
        ['GET', {}],
        ['OPTIONS', { 'access-control-request-method': 'POST' }],
      ] as const) {
        const answer = await ask(path, { origin, ...more }, method);
        expect(answer.status).toBe(403);
        expect(answer.headers['access-control-allow-origin']).toBeUndefined();
        expect(answer.headers['access-control-allow-methods']).toBeUndefined();
      }
    },
  );

  it('is no reason to forget what others are told: caches keep answers apart', async () => {
    expect((await ask(path)).headers.vary).toBe('Origin');
  });

  it('protects who looks at the answer, by the same headers', async () => {
    expect((await ask(path)).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'permissions-policy': 'camera=(), microphone=(), geolocation=()',
    });
  });

  it('may name another address of the instance as its host', async () => {
    expect((await ask(path, { host: 'inner.example' })).status).toEqual(expected);
    expect((await ask(path, { host: 'outer.example' })).status).toBe(421);
  });
});

describe('security headers', () => {
  it.each(ways)('say what the profile says: %s', async (_way, path) => {
    const own = await startTestApi(nobody, {
      externalUrl: 'https://prompt.example',
      web: {
        corsAllowedOrigins: [],
        otherAddresses: [],
        securityHeaders: {
          ...settings,
          frame_options: 'SAMEORIGIN',
          content_security_policy: "default-src 'self'",
          hsts_max_age_seconds: 60,
          hsts_preload: true,
        },
      },
    });
    const { headers } = await ask(path, { host: 'prompt.example' }, 'GET', own.endpoint.port);
    expect(headers).toMatchObject({
      'x-frame-options': 'SAMEORIGIN',
      'content-security-policy': "default-src 'self'",
      'strict-transport-security': 'max-age=60; includeSubDomains; preload',
    });
    expect(headers.vary).toBeUndefined();
    await own.close();
  });

  it.each(ways)('can be left to a proxy: %s', async (_way, path) => {
    const web = { corsAllowedOrigins: [], otherAddresses: [], securityHeaders: { ...settings, enabled: false } };
    const own = await startTestApi(nobody, { web });
    const { headers } = await ask(path, {}, 'GET', own.endpoint.port);
    expect(Object.keys(headers).filter((name) => /^x-(?!request)|policy|strict/.test(name))).toEqual([]);
    await own.close();
  });

  it('never has browsers insist on https for localhost, where other programs are', async () => {
    const own = await startTestApi(nobody, { externalUrl: externalUrl.replace('http', 'https') });
    const { headers } = await ask('/healthz', {}, 'GET', own.endpoint.port);
    expect(headers['strict-transport-security']).toBeUndefined();
    await own.close();
  });
});
