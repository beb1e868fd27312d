import { randomUUID } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpEndpoint } from '../../../src/entry/api/listen.ts';
import { instanceAudience, mcpAudience } from '../../../src/lib/app/identity.ts';
import { httpHealth } from '../../../src/lib/infra/process/health.ts';
import { ProbeConnection } from '../../../src/lib/infra/process/probe-connection.ts';
import { DatabaseUnavailableError, PortTakenError, PreconditionError } from '../../../src/lib/shared/errors.ts';
import type { ServiceInstanceId } from '../../../src/lib/shared/ids.ts';
import { sendRaw, startTestApi, type TestApi } from '../../helpers/api.ts';
import { externalUrl, openTestIdentity, type TestIdentity, until } from '../../helpers/identity.ts';

let test: TestIdentity;
let api: TestApi;
let databaseAway = false;

beforeAll(async () => {
  test = await openTestIdentity();
  api = await startTestApi(test.identity.verifier, {
    readiness: {
      database: async () => {
        if (databaseAway) throw new DatabaseUnavailableError('postgres on secret-host:5432 refused');
        await test.database.query('SELECT 1');
      },
    },
  });
});
afterAll(async () => {
  await api?.close();
  await test?.close();
});

async function tokenFor(audience: string): Promise<string> {
  const { users, sessions, issuer } = test.identity;
  const user = await users.ensureOwner();
  const session = await sessions.begin({ userId: user.id, client: 'test', ttlSeconds: 600 });
  const request = { user, sessionId: session.id, audience, scopes: ['admin'], ttlSeconds: 600, client: 'test' };
  return (await issuer.issue(request)).token;
}

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
  json(): Record<string, unknown>;
}

/** By node:http, which lets a test set Host. */
function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; host?: string } = {},
): Promise<Answer> {
  return new Promise((done, fail) => {
    const { method = 'GET', headers = {}, body, host = '127.0.0.1' } = options;
    const request = httpRequest({ host, port: api.endpoint.port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        done({ status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) }),
      );
    });
    request.on('error', fail);
    request.end(body);
  });
}

const mcp = '/api/v1/mcp/alpha/mcp';

describe('health', () => {
  it('liveness names the run of the process', async () => {
    const answer = await ask('/healthz');
    expect(answer.status).toBe(200);
    expect(answer.json()).toMatchObject({
      instanceId: '00000000-0000-4000-8000-000000000001',
      pid: process.pid,
      version: '9.9.9',
    });
    expect(answer.json().uptime_ms).toBeGreaterThan(0);
    expect(answer.json().eventLoopDelayMs).toBeGreaterThanOrEqual(0);
    // Which servers get nothing is for the supervisor, at the socket of the process: not for who has its id from here.
    const probe = { 'x-systemprompt-probe': '00000000-0000-4000-8000-000000000001' };
    expect((await ask('/healthz', { headers: probe })).json()).not.toHaveProperty('circuits');
  });

  it('which circuit breakers are open it says by its own socket alone', async () => {
    const socketPath = join(tmpdir(), `${randomUUID().slice(-12)}.sock`);
    const own = await startTestApi(test.identity.verifier, {}, { probeSocket: socketPath });
    const connection = new ProbeConnection();
    try {
      const found = await httpHealth(
        {
          instanceId: '00000000-0000-4000-8000-000000000001' as ServiceInstanceId,
          pid: process.pid,
          port: own.endpoint.port,
          signal: new AbortController().signal,
          timeoutMs: 20_000,
          connection,
        },
        { socketPath },
      );
      expect(found).toMatchObject({ ready: true, health: { circuits: { alpha: 'open' } } });
    } finally {
      connection.close();
      await own.close();
    }
  });

  it('readiness says what is missing, without names of hosts', async () => {
    expect((await ask('/readyz')).json()).toEqual({ ready: true, reasons: [] });
    databaseAway = true;
    const answer = await ask('/readyz');
    databaseAway = false;
    expect(answer.status).toBe(503);
    expect(answer.json()).toEqual({
      ready: false,
      reasons: [{ check: 'database', code: 'DATABASE_UNAVAILABLE', reason: 'The database is not available' }],
    });
    expect(api.log()).toContain('secret-host');
  });
});

describe('discovery', () => {
  it('publishes the keys, and no private part', async () => {
    const answer = await ask('/api/v1/core/oauth/jwks');
    expect(answer.json()).toEqual(await test.identity.keys.jwks());
    expect(answer.text).not.toContain('"d"');
    expect((await ask('/.well-known/jwks.json')).json()).toEqual(answer.json());
  });

  it('auth 32: a server has its RFC 9728 document before its path', async () => {
    const answer = await ask('/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp');
    expect(answer.json()).toEqual({
      resource: mcpAudience(externalUrl, 'alpha'),
      resource_name: 'Alpha',
      authorization_servers: [externalUrl],
      scopes_supported: ['user'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'ES384', 'PS256', 'RS256'],
      dpop_bound_access_tokens_required: false,
    });
    expect((await ask('/.well-known/oauth-protected-resource/api/v1')).json().resource).toBe(`${externalUrl}/api/v1`);
    // What a client connects to by the older transport is named as that (section 3.3).
    const sse = await ask('/.well-known/oauth-protected-resource/api/v1/mcp/alpha/sse');
    expect(sse.json()).toEqual({ ...answer.json(), resource: `${externalUrl}/api/v1/mcp/alpha/sse` });
    expect((await ask('/.well-known/oauth-protected-resource/api/v1/mcp/nobody/mcp')).status).toBe(404);
  });

  it('auth 32: a resource has exactly one form: with a slash at its end it is none', async () => {
    const document = (await ask('/.well-known/oauth-protected-resource/api/v1')).json() as {
      scopes_supported: string[];
    };
    expect(document.scopes_supported).toEqual(['user']);
    expect((await ask('/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp/')).status).toBe(404);
    expect((await ask('/.well-known/oauth-protected-resource/api/v1/mcp/instance/mcp')).status).toBe(404);
  });

  it('auth 31: nothing published is made from Host or X-Forwarded-Host', async () => {
    const path = '/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp';
    expect((await ask(path, { headers: { host: 'evil.example' } })).status).toBe(421);
    const poisoned = await ask(path, {
      headers: { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example', 'x-forwarded-proto': 'https' },
    });
    expect(poisoned.status).toBe(200);
    expect(poisoned.text).not.toContain('evil');
    const twice = await sendRaw(
      api.endpoint.port,
      `GET ${path} HTTP/1.1\r\nHost: localhost:8080\r\nHost: evil\r\nConnection: close\r\n\r\n`,
    );
    expect(twice).toMatch(/^HTTP\/1.1 400 /);
  });

  it('has an OpenAPI 3.1 document of its routes', async () => {
    const document = (await ask('/api/v1/openapi.json')).json() as { openapi: string; paths: Record<string, object> };
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining([
        '/healthz',
        '/readyz',
        '/api/v1/core/oauth/jwks',
        '/api/v1/mcp/registry',
        '/api/v1/mcp/{server}/mcp',
      ]),
    );
    expect(document.paths['/healthz']).toMatchObject({
      get: {
        responses: {
          200: { content: { 'application/json': { schema: { type: 'object', required: expect.any(Array) } } } },
        },
      },
    });
  });

  it('lists the servers for everyone, and how they are for the signed-in', async () => {
    const open = (await ask('/api/v1/mcp/registry')).json() as { servers: object[] };
    expect(open.servers[0]).toMatchObject({ name: 'alpha', endpoint: mcpAudience(externalUrl, 'alpha') });
    expect(open.servers[0]).not.toHaveProperty('status');
    const authorization = `Bearer ${await tokenFor(instanceAudience(externalUrl))}`;
    const known = (await ask('/api/v1/mcp/registry', { headers: { authorization } })).json() as { servers: object[] };
    expect(known.servers[0]).toMatchObject({ status: 'ready', port: 5000 });
    const wrong = `Bearer ${await tokenFor(mcpAudience(externalUrl, 'alpha'))}`;
    const refused = await ask('/api/v1/mcp/registry', { headers: { authorization: wrong } });
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toContain('error="invalid_token"');
  });

  it('has an entry of each server in the form of the public registry, and links to all that can be found', async () => {
    const entry = (await ask('/api/v1/mcp/alpha/server.json')).json() as Record<string, unknown>;
    expect(entry).toMatchObject({
      $schema: expect.stringContaining('/schemas/2025-12-11/server.schema.json'),
      name: expect.stringMatching(/^[a-zA-Z0-9.-]+\/alpha$/),
      version: '9.9.9',
      remotes: [{ type: 'streamable-http', url: mcpAudience(externalUrl, 'alpha') }, { type: 'sse' }],
    });
    expect((await ask('/api/v1/mcp/nobody/server.json')).status).toBe(404);
    const below = '/api/v1/mcp/alpha/mcp/.well-known';
    const document = (await ask(`${below}/oauth-protected-resource`)).json();
    expect(document).toEqual((await ask('/.well-known/oauth-protected-resource/api/v1/mcp/alpha/mcp')).json());
    const led = await ask(`${below}/oauth-authorization-server`);
    expect(led).toMatchObject({ status: 307 });
    expect(led.headers['location']).toBe(`${externalUrl}/.well-known/oauth-authorization-server`);
    const { endpoints } = (await ask('/api/v1/mcp')).json() as { endpoints: Record<string, string> };
    expect(endpoints['registry']).toBe(`${externalUrl}/api/v1/mcp/registry`);
    expect(((await ask('/api/v1')).json() as { endpoints: object }).endpoints).toHaveProperty('mcp');
  });
});

describe('requests', () => {
  it('that nobody answers are problems (RFC 9457), with id and without stack', async () => {
    for (const path of ['/', '/api/v1/nothing', '/api/v1/mcp/alpha/mcp/', '/%zz', '/api/v1/mcp/alpha']) {
      const answer = await ask(path, { headers: { 'x-request-id': 'test-request-1' } });
      expect([400, 404]).toContain(answer.status);
      expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
      expect(answer.json()).toMatchObject({ status: answer.status, request_id: 'test-request-1' });
      expect(answer.text).not.toMatch(/node_modules|\.ts:|stack/);
    }
  });

  it('keep the id that they bring when it is one, and get one else; the MCP route too', async () => {
    expect((await ask('/healthz', { headers: { 'x-request-id': 'abc-12345.x' } })).headers['x-request-id']).toBe(
      'abc-12345.x',
    );
    expect((await ask(mcp, { headers: { 'x-request-id': 'abc-12345.x' } })).headers['x-request-id']).toBe(
      'abc-12345.x',
    );
    for (const id of ['short', 'with space here', 'x'.repeat(200), '{"injected":1}']) {
      expect((await ask('/healthz', { headers: { 'x-request-id': id } })).headers['x-request-id']).toMatch(
        /^[0-9a-f-]{36}$/,
      );
    }
  });

  it('are answered with security headers', async () => {
    const { headers } = await ask('/healthz');
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
    });
    expect(headers).not.toHaveProperty('x-powered-by');
    expect((await ask(mcp)).headers['x-content-type-options']).toBe('nosniff');
  });

  it('auth 33: from a page of another origin are 403, to another host 421', async () => {
    const authorization = `Bearer ${await tokenFor(mcpAudience(externalUrl, 'alpha'))}`;
    const port = api.endpoint.port;
    for (const origin of [
      'https://evil.example',
      'null',
      'http://localhost:1',
      `https://localhost:${port}`,
      `http://localhost:${port}.evil.example`,
    ]) {
      const answer = await ask(mcp, { method: 'POST', headers: { authorization, origin }, body: '{}' });
      expect([origin, answer.status]).toEqual([origin, 403]);
    }
    for (const host of [
      'evil.example',
      'localhost',
      `localhost:${port + 1}`,
      `localhost.evil.example:${port}`,
      '169.254.169.254',
    ]) {
      const answer = await ask(mcp, { method: 'POST', headers: { authorization, host }, body: '{}' });
      expect([host, answer.status]).toEqual([host, 421]);
    }
    for (const origin of [
      externalUrl,
      `http://localhost:${port}`,
      `http://127.0.0.1:${port}`,
      `http://[::1]:${port}`,
    ]) {
      const answer = await ask(mcp, { method: 'POST', headers: { authorization, origin }, body: '{}' });
      expect([origin, answer.status]).toEqual([origin, 200]);
    }
    expect(
      (await ask(mcp, { method: 'POST', headers: { authorization, host: 'LocalHost:8080' }, body: '{}' })).status,
    ).toBe(200);
  });

  it('auth 53: with any Authorization header are never a fault', async () => {
    const value = fc
      .oneof(
        fc.string({ maxLength: 60 }),
        fc.string({ maxLength: 60 }).map((text) => `Bearer ${text}`),
        fc.constant('Bearer a.b.c'),
      )
      .map((text) => text.replace(/[\r\n\0]/g, ''));
    const headers = fc.array(value, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(headers, fc.constantFrom(mcp, '/api/v1/mcp/registry'), async (values, path) => {
        const lines = values.map((text) => `Authorization: ${text}\r\n`).join('');
        const answer = await sendRaw(
          api.endpoint.port,
          `GET ${path} HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n${lines}\r\n`,
        );
        expect(answer).toMatch(/^HTTP\/1.1 40[01] /);
      }),
      { numRuns: 150 },
    );
  });

  it('auth 14: a token in the address is refused and never logged, nor is one in the header', async () => {
    const token = await tokenFor(mcpAudience(externalUrl, 'alpha'));
    const answer = await ask(`${mcp}?access_token=${token}`, { method: 'POST' });
    expect(answer.status).toBe(400);
    expect(answer.headers['www-authenticate']).toContain('error="invalid_request"');
    expect((await ask(`/nothing?access_token=${token}`)).text).not.toContain(token);
    expect((await ask(mcp, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
    expect(api.log()).not.toContain(token.split('.')[2]);
  });

  it('reach the router with their body unread, whatever its type', async () => {
    const authorization = `Bearer ${await tokenFor(mcpAudience(externalUrl, 'alpha'))}`;
    for (const type of ['application/json', 'text/plain', 'application/x-nothing']) {
      const answer = await ask(mcp, {
        method: 'POST',
        headers: { authorization, 'content-type': type },
        body: '{not json',
      });
      expect(answer.json()).toEqual({ user: 'owner', bytes: 9 });
    }
    expect((await ask(mcp, { method: 'DELETE', headers: { authorization } })).json()).toEqual({
      user: 'owner',
      bytes: 0,
    });
  });

  it('with a method that MCP does not have get 405 and the methods that it has, however the address is written', async () => {
    const authorization = `Bearer ${await tokenFor(mcpAudience(externalUrl, 'alpha'))}`;
    for (const path of [mcp, '/api/v1/mcp/%61lpha/mcp']) {
      for (const method of ['PUT', 'PATCH', 'OPTIONS', 'HEAD']) {
        const answer = await ask(path, { method, headers: { authorization } });
        expect({ path, method, status: answer.status, allow: answer.headers['allow'] }).toEqual({
          path,
          method,
          status: 405,
          allow: 'GET, POST, DELETE',
        });
      }
    }
    const told = await ask(mcp, { method: 'PUT', headers: { authorization }, body: 'x' });
    expect(told.json()).toMatchObject({ status: 405, title: 'Method Not Allowed', code: 'USAGE' });
    // What fastify does not know at all.
    expect((await ask(mcp, { method: 'PROPFIND' })).status).toBe(405);
    expect(Object.keys((await ask('/api/v1/openapi.json')).json()['paths'] as object)).toContain(
      '/api/v1/mcp/{server}/mcp',
    );
  });

  it('that no handler expected to fail become a problem without details', async () => {
    const failing = await startTestApi(test.identity.verifier, {
      mcp: { handle: () => Promise.reject(new Error('the secret reason')) },
    });
    const response = await fetch(`${failing.url}${mcp}`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'INTERNAL', status: 500, title: 'Something went wrong inside' });
    expect(text.includes('secret reason')).toBe(false);
    expect(failing.log()).toContain('secret reason');
    await failing.close();
  });

  it('whose body never ends are ended with 408, whose headers never end too, and nothing stays', async () => {
    const slow = await startTestApi(test.identity.verifier, {}, { requestTimeoutMs: 300, headersTimeoutMs: 300 });
    const authorization = `Authorization: Bearer ${await tokenFor(mcpAudience(externalUrl, 'alpha'))}`;
    const head = `POST ${mcp} HTTP/1.1\r\nHost: localhost:8080\r\n${authorization}\r\nContent-Length: 1000\r\n\r\n{`;
    const [body, headers] = await Promise.all([
      sendRaw(slow.endpoint.port, head),
      sendRaw(slow.endpoint.port, `POST ${mcp} HTTP/1.1\r\nHost: loc`),
    ]);
    expect(body).toMatch(/^HTTP\/1.1 408 [\s\S]*"code":"TIMEOUT"/);
    expect(headers).toMatch(/^HTTP\/1.1 408 /);
    await until('no connection is left', () => slow.endpoint.connections === 0);
    await slow.close();
  });

  it('that are not HTTP, or too large, are refused', async () => {
    expect(await sendRaw(api.endpoint.port, 'SSH-2.0-x\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
    expect(await sendRaw(api.endpoint.port, `GET / HTTP/1.1\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 431 /,
    );
  });
});

describe('listening', () => {
  it('on localhost is on 127.0.0.1, and on ::1 where there is one, and nowhere else', async () => {
    const has6 = Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === '::1'));
    expect((await ask('/healthz')).status).toBe(200);
    if (has6) expect((await ask('/healthz', { host: '::1' })).status).toBe(200);
    const outside = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find((entry) => !entry.internal && entry.family === 'IPv4');
    if (outside !== undefined) {
      await expect(ask('/healthz', { host: outside.address })).rejects.toThrow(/ECONNREFUSED/);
    }
  });

  it('on a taken port or a foreign address says so and leaves nothing open', async () => {
    const { port } = api.endpoint;
    await expect(HttpEndpoint.listen(() => {}, { host: 'localhost', port })).rejects.toThrow(PortTakenError);
    await expect(HttpEndpoint.listen(() => {}, { host: '203.0.113.1', port: 0 })).rejects.toThrow(PreconditionError);
    const socket = connect(port, '127.0.0.1');
    await new Promise((done) => socket.once('connect', done));
    socket.destroy();
  });
});
