import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { signIdentity } from '../../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId } from '../../../src/lib/shared/ids.ts';
import { type McpChild, startMcpChild, testIdentity } from '../../helpers/mcp-child.ts';

const extension = join(import.meta.dirname, '../../fixtures/extensions/demo.mjs');
let server: McpChild;

beforeAll(async () => {
  server = await startMcpChild({ extension });
});
afterAll(() => server[Symbol.asyncDispose]());

describe('the door', () => {
  const list = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
  const plain = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

  function post(headers: Record<string, string>, body: string = list, path = '/mcp'): Promise<Response> {
    return fetch(server.origin + path, { method: 'POST', headers: { ...plain, ...headers }, body });
  }

  it('answers the health check without an identity', async () => {
    const response = await fetch(`${server.origin}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      instanceId: server.instanceId,
      pid: server.child.pid,
      version: '1.2.3',
      tools: 8,
      eventLoopDelayMs: expect.any(Number),
      rssBytes: expect.any(Number),
    });
  });

  it('lets in who comes through the router', async () => {
    expect((await post(server.headers())).status).toBe(200);
  });

  it.each(['/mcp', '/', '/healthz', '/anything'])('refuses a stranger at %s', async (path) => {
    const response = await post({}, list, path);
    expect(response.status).toBe(401);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
    expect(response.headers.get('www-authenticate')).toBe('x-systemprompt-identity');
  });

  it('refuses an identity for another run, one that expired, and one under another key', async () => {
    const now = Math.floor(Date.now() / 1000);
    const other = { ...testIdentity('another-instance' as ServiceInstanceId) };
    const expired = testIdentity(server.instanceId, { iat: now - 60, exp: now - 1 });
    const headers = [
      signIdentity(server.key, other),
      signIdentity(server.key, expired),
      signIdentity(new Uint8Array(32), testIdentity(server.instanceId)),
    ];
    for (const value of headers) expect((await post({ 'x-systemprompt-identity': value })).status).toBe(401);
  });

  it('does not believe other headers', async () => {
    const response = await post({ authorization: 'Bearer x', 'x-user-id': 'owner', 'x-proxy-verified': 'true' });
    expect(response.status).toBe(401);
  });

  it('answers malformed JSON-RPC with a parse error, and an oversized body with 413 before it came', async () => {
    const malformed = await post(server.headers(), '{"jsonrpc":');
    expect(malformed.status).toBe(400);
    expect(await malformed.json()).toMatchObject({ error: { code: -32700 } });
    const big = request(`${server.origin}/mcp`, {
      method: 'POST',
      headers: { ...plain, ...server.headers(), 'content-length': 10 * 1024 * 1024 + 1 },
    });
    big.flushHeaders();
    const [response] = await once(big, 'response');
    expect(response.statusCode).toBe(413);
    big.destroy();
  });

  it('has nothing elsewhere, and no stream to listen to', async () => {
    expect((await post(server.headers(), list, '/other')).status).toBe(404);
    const response = await fetch(`${server.origin}/mcp`, {
      headers: { ...server.headers(), accept: 'text/event-stream' },
    });
    expect(response.status).toBe(405);
  });
});
