import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mcpAudience } from '../../../../src/lib/app/identity.ts';
import { openTrustedProxies } from '../../../../src/lib/app/trusted-proxies.ts';
import { externalUrl, maxTtlSeconds } from '../../../helpers/identity.ts';
import { type ProxiedRequest, signProxied } from '../../../helpers/proxied.ts';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

const secret = 'k'.repeat(48);
const path = '/api/v1/mcp/alpha/mcp';
const admins = serverConfig({ name: 'admins', oauth: { required: true, scopes: ['admin'] } });
let test: TestGateway;
let anna: string;
let trusted: Awaited<ReturnType<typeof openTrustedProxies>>;

beforeAll(async () => {
  const servers = [serverConfig(), admins];
  test = await openTestGateway({
    servers,
    proxies: async ({ secrets, database, identity }) => {
      await secrets.set('proxy.edge', secret);
      const security = {
        issuer: externalUrl,
        access_token_ttl_seconds: maxTtlSeconds,
        audiences: [],
        federation: [],
        registration: 'open' as const,
        registration_limits: { per_network_per_hour: 20, max_clients: 5000, unused_hours: 24, idle_days: 90 },
        client_documents: { mode: 'off' as const, hosts: [] },
        workload_identity: [],
        authorization_code_ttl_seconds: 60,
        device_code_ttl_seconds: 600,
        refresh_idle_seconds: 3600,
        refresh_absolute_seconds: 3600,
        refresh_reuse_window_seconds: 30,
        personal_access_tokens: { max_days: 365 },
        proxies: [{ id: 'edge', key: '${secret:proxy.edge}', max_age_seconds: 30 }],
      };
      trusted = await openTrustedProxies({ profile: { security }, servers, secrets }, database, identity);
      return trusted;
    },
  });
  const [row] = await test.owner.query<{ id: string }>(
    `INSERT INTO users (name, display_name, roles) VALUES ('anna', 'Anna', '{user}') RETURNING id`,
  );
  anna = row?.id ?? '';
});
afterAll(() => test?.close());

const call = (tool = 'echo') =>
  Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: {} } }));

const signed = (change: Partial<ProxiedRequest> = {}) =>
  signProxied({
    secret: Buffer.from(secret),
    keyId: 'edge',
    userId: anna,
    permissions: 'user',
    method: 'POST',
    url: path,
    body: call(),
    host: `127.0.0.1:${test.port}`,
    ...change,
  });

async function send({ method, url, rawHeaders }: ReturnType<typeof signed>, body = call(), more: string[] = []) {
  const all = [
    ...rawHeaders,
    'content-type',
    'application/json',
    'accept',
    'application/json, text/event-stream',
    ...more,
  ];
  const sent = request({ host: '127.0.0.1', port: test.port, method, path: url, headers: all });
  sent.end(body);
  const [response] = await once(sent, 'response');
  const { statusCode: status, headers } = response;
  return { status, headers, body: await text(response), json: {} };
}

describe('a trusted proxy that signs who calls', () => {
  it('is believed: the call is the user’s, recorded so, and the server hears of no proxy', async () => {
    const reply = await send(signed({ permissions: 'user admin tools:delete' }));
    expect(reply.status).toBe(200);
    const row = await test.rowOf(reply as never);
    expect(row).toMatchObject({ user_name: 'anna', status: 'success' });
    const { requests } = await test.seen();
    expect(JSON.stringify(requests)).not.toMatch(/x-user-|x-proxy|signature-input/i);
  });

  it('gives nobody more than the user may do', async () => {
    const url = '/api/v1/mcp/admins/mcp';
    const reply = await send(signed({ url, permissions: 'admin' }));
    expect(reply.status).toBe(403);
    expect(reply.headers['www-authenticate']).toContain('insufficient_scope');
  });

  it('is believed once: the same request again is nobody’s', async () => {
    const once_ = signed();
    expect((await send(once_)).status).toBe(200);
    expect((await send(once_)).status).toBe(401);
  });

  it('vouches for the body that it signed and no other', async () => {
    const reply = await send(signed(), call('oops'));
    expect(reply.status).toBe(401);
    expect(reply.body).not.toContain('oops');
  });

  it('is not heard beside a token', async () => {
    expect((await send(signed(), call(), ['authorization', `Bearer ${test.bearer}`])).status).toBe(400);
  });

  it.each([
    ['a user that there is none of', { userId: '99999999-2222-4333-8444-555555555555' }],
    ['a key that it does not have', { secret: Buffer.from('x'.repeat(48)) }],
  ])('is nobody with %s', async (_, change) => {
    const reply = await send(signed(change));
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toContain('resource_metadata');
  });

  it('is of the moment: what a server gets to act for the caller is not from before something was taken away', async () => {
    await test.owner.query('UPDATE users SET access_version = access_version + 1 WHERE id = $1', [anna]);
    const [row] = await test.owner.query<{ version: number }>(
      'SELECT access_version AS version FROM users WHERE id = $1',
      [anna],
    );
    const sender = await trusted?.identify(signed(), mcpAudience(externalUrl, 'alpha'));
    expect(sender?.claims.accessVersion).toBe(row?.version);
  });

  it('is nobody for a user who was banned, from the next request on', async () => {
    const [row] = await test.owner.query<{ id: string }>(
      `INSERT INTO users (name, display_name, roles) VALUES ('bert', 'Bert', '{user}') RETURNING id`,
    );
    const userId = row?.id ?? '';
    expect((await send(signed({ userId }))).status).toBe(200);
    await test.owner.query(`UPDATE users SET status = 'suspended' WHERE id = $1`, [userId]);
    expect((await send(signed({ userId }))).status).toBe(401);
  });

  it('has one session for each user, which can be ended like every other', async () => {
    await send(signed());
    const sessions = await test.owner.query(
      `SELECT client FROM user_sessions WHERE user_id = $1 AND kind = 'proxy' AND revoked_at IS NULL`,
      [anna],
    );
    expect(sessions).toEqual([{ client: 'proxy:edge' }]);
  });
});

describe('where no proxy is trusted', () => {
  let plain: TestGateway;
  beforeAll(async () => {
    plain = await openTestGateway();
  });
  afterAll(() => plain?.close());

  it('its headers say nothing: a token counts beside them, and without one nobody is there', async () => {
    const headers = { 'x-proxy-verified': 'true', 'x-user-id': anna, 'x-user-permissions': 'admin' };
    const reply = await plain.call('echo', {}, headers);
    expect(reply.status).toBe(200);
    expect(await plain.rowOf(reply)).toMatchObject({ user_name: 'owner' });
    const response = await fetch(`http://127.0.0.1:${plain.port}${path}`, { method: 'POST', headers, body: call() });
    expect(response.status).toBe(401);
  });
});
