import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as createSocketServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTelemetry, type Telemetry } from '../../../src/entry/api/telemetry.ts';
import { instanceAudience } from '../../../src/lib/app/identity.ts';
import { createLogger } from '../../../src/lib/infra/logging/logger.ts';
import { ApiMetrics } from '../../../src/lib/infra/telemetry/api-metrics.ts';
import { mergeFamilies } from '../../../src/lib/infra/telemetry/scrape.ts';
import { startTestApi, type TestApi } from '../../helpers/api.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from '../../helpers/identity.ts';
import { parseScrape, type Scrape } from '../../helpers/prometheus.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { until } from '../../helpers/until.ts';

const options = (instanceId = randomUUID() as string) => ({
  instanceId,
  service: 'api',
  version: '9.9.9',
  servers: ['alpha'],
  rateGroups: ['mcp'],
});
const log = createLogger({ service: 'api', level: 'silent' });
const http = 'systemprompt_http_request_duration_seconds_count';

let test: TestIdentity;
let telemetry: Telemetry;
let api: TestApi;
const ends: (() => Promise<unknown> | undefined)[] = [];

beforeAll(async () => {
  test = await openTestIdentity();
});
afterAll(async () => {
  await test?.close();
});
beforeEach(async () => {
  telemetry = openTelemetry(options(), undefined);
  api = await startTestApi(test.identity.verifier, { telemetry });
});
afterEach(async () => {
  await api.close();
  telemetry.metrics.close();
  for (const end of ends.splice(0)) await end();
});

async function tokenFor(scopes: readonly string[], audience = instanceAudience(externalUrl)): Promise<string> {
  const { users, sessions, issuer } = test.identity;
  const user = await users.ensureOwner();
  const session = await sessions.begin({ userId: user.id, client: 'test', ttlSeconds: 600 });
  const asked = { user, sessionId: session.id, audience, scopes: [...scopes], ttlSeconds: 600, client: 'test' };
  return (await issuer.issue(asked)).token;
}

const get = async (path: string, token?: string, init: RequestInit = {}) =>
  fetch(`${api.url}${path}`, { ...init, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });

async function freePort(): Promise<number> {
  const server = createSocketServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function openPort(scrapes = telemetry): Promise<number> {
  const port = await freePort();
  const endpoint = await scrapes.listen(port, { shared: false, installationId: randomUUID(), log });
  ends.push(() => endpoint?.drain({ deadlineMs: 100 }));
  return port;
}

describe('GET /metrics', () => {
  it('is for admins: 401 without a token, 403 with another scope', async () => {
    const none = await get('/metrics');
    expect(none.status).toBe(401);
    expect(none.headers.get('www-authenticate')).toMatch(/^Bearer resource_metadata=".*scope="admin"$/);
    const user = await get('/metrics', await tokenFor(['user']));
    expect(user.status).toBe(403);
    expect(user.headers.get('www-authenticate')).toContain('error="insufficient_scope"');
    expect((await get('/metrics', await tokenFor(['admin'], `${externalUrl}/elsewhere`))).status).toBe(401);
    expect((await get('/metrics', 'nonsense')).status).toBe(401);
    for (const refused of [none, user]) expect(await refused.text()).not.toContain('systemprompt_http');
    const admin = await get('/metrics', await tokenFor(['admin']));
    expect(admin.status).toBe(200);
    expect(admin.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(admin.headers.get('cache-control')).toBe('no-store');
    parseScrape(await admin.text());
  });

  it('is not there while nothing is measured', async () => {
    const plain = await startTestApi(test.identity.verifier);
    ends.push(() => plain.close());
    const answer = await fetch(`${plain.url}/metrics`, {
      headers: { authorization: `Bearer ${await tokenFor(['admin'])}` },
    });
    expect(answer.status).toBe(404);
    expect(await (await fetch(`${plain.url}/api/v1/openapi.json`)).text()).not.toContain('/metrics');
  });

  it('counts requests by group, method and status, and knows no address, user or argument', async () => {
    const token = await tokenFor(['admin']);
    const asked: (readonly [string, RequestInit?])[] = [
      ['/healthz'],
      ['/readyz'],
      ['/api/v1/mcp/registry'],
      ['/api/v1/openapi.json'],
      ['/api/v1/core/oauth/jwks?secret-query=1'],
      ['/secret-path/42'],
      ['/secret-path/43', { method: 'PUT' }],
      ['/api/v1/mcp/alpha/mcp', { method: 'POST', body: '{}' }],
      ['/api/v1/mcp/alpha/mcp', { method: 'PATCH' }],
      ['/api/v1/mcp/ALPHA/mcp', { method: 'PROPFIND' }],
    ];
    for (const [path, init] of asked) await (await get(path, undefined, init)).text();
    await (await get('/metrics')).text();
    const scraped = await until('all are measured', async () => {
      const text = await telemetry.scrape();
      return parseScrape(text).sum(http) === asked.length + 1 ? text : undefined;
    });
    const found = parseScrape(scraped);
    const counted = Object.fromEntries(
      found
        .find(http)
        .map(({ labels, value }) => [`${labels['group']} ${labels['method']} ${labels['status']}`, value]),
    );
    expect(counted).toEqual({
      'probe GET 2xx': 2,
      'mcp_registry GET 2xx': 1,
      'oauth_public GET 2xx': 2,
      'other GET 4xx': 1,
      'other PUT 4xx': 1,
      'mcp POST 4xx': 1,
      'mcp PATCH 4xx': 1,
      'other other 4xx': 1,
      'metrics GET 4xx': 1,
    });
    for (const word of ['secret', 'ALPHA', 'owner', token]) expect(scraped).not.toContain(word);
  });

  it('counts whoever left before an answer as `none`', async () => {
    const never = await startTestApi(test.identity.verifier, {
      telemetry,
      mcp: { handle: () => new Promise(() => {}) },
    });
    ends.push(() => never.close());
    const socket = connect(never.endpoint.port, '127.0.0.1');
    socket.write(`GET /api/v1/mcp/alpha/mcp HTTP/1.1\r\nHost: localhost:${never.endpoint.port}\r\n\r\n`);
    await until('it has come', () => never.endpoint.connections === 1);
    socket.destroy();
    await until(
      'it is measured',
      async () => parseScrape(await telemetry.scrape()).sum(http, { group: 'mcp', status: 'none' }) === 1,
    );
  });

  it('says how the process is, in series that carry its id and never go back', async () => {
    const first = parseScrape(await telemetry.scrape());
    const until_ = performance.now() + 150;
    while (performance.now() < until_);
    const second = await until('the late turn is seen', async () => {
      const found = parseScrape(await telemetry.scrape());
      return found.sum('nodejs_eventloop_delay_seconds_count') > 1 ? found : undefined;
    });
    const names = [
      'process_cpu_user_seconds_total',
      'process_cpu_system_seconds_total',
      'nodejs_eventloop_delay_seconds_sum',
    ];
    for (const name of names) expect(second.sum(name)).toBeGreaterThanOrEqual(first.sum(name));
    expect(second.sum('process_cpu_user_seconds_total')).toBeGreaterThan(first.sum('process_cpu_user_seconds_total'));
    expect(second.sum('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect(Math.abs(second.sum('process_start_time_seconds') - (Date.now() / 1000 - process.uptime()))).toBeLessThan(5);
    expect(second.find('systemprompt_build_info')[0]).toMatchObject({
      labels: { service: 'api', version: '9.9.9', node: process.versions.node },
      value: 1,
    });
    const unlabelled = [...second.families.values()]
      .flatMap(({ samples }) => samples)
      .filter(({ labels }) => !('instance_id' in labels));
    expect(unlabelled.map(({ name }) => name)).toEqual(['systemprompt_metrics_unanswered_processes']);
  });
});

describe('the port for metrics', () => {
  it('answers without a sign-in, /metrics and nothing else', async () => {
    const port = await openPort();
    for (const name of ['localhost', '127.0.0.1']) {
      const answer = await fetch(`http://${name}:${port}/metrics?x`);
      expect([answer.status, answer.headers.get('content-type')]).toEqual([
        200,
        'text/plain; version=0.0.4; charset=utf-8',
      ]);
      parseScrape(await answer.text());
    }
    const head = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${port}/metrics/`)).status).toBe(404);
    const post = await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('listens on loopback alone', async () => {
    const port = await openPort();
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const outside = addresses.filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of outside) {
      await expect(fetch(`http://${address}:${port}/metrics`)).rejects.toMatchObject({
        cause: { code: 'ECONNREFUSED' },
      });
    }
    // 127.0.0.2 leads to every listener on 0.0.0.0, and is none of ours.
    await expect(fetch(`http://127.0.0.2:${port}/metrics`)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });

  it('is not for pages whose name was pointed at this machine', async () => {
    const port = await openPort();
    const ask = (headers: Record<string, string>) =>
      new Promise<number | undefined>((done, fail) => {
        const asked = request({ host: '127.0.0.1', port, path: '/metrics', headers }, (answer) => {
          answer.resume();
          done(answer.statusCode);
        });
        asked.once('error', fail);
        asked.end();
      });
    expect(await ask({ host: `evil.example:${port}` })).toBe(421);
    expect(await ask({ origin: 'https://evil.example' })).toBe(403);
    expect(await ask({})).toBe(200);
  });

  it('says whose port it is when somebody else has it', async () => {
    const stranger = createServer().listen(0, '127.0.0.1');
    await once(stranger, 'listening');
    ends.push(async () => stranger.close());
    const { port } = stranger.address() as AddressInfo;
    await expect(telemetry.listen(port, { shared: true, installationId: randomUUID(), log })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      hint: expect.stringContaining('telemetry.metrics_port'),
    });
  });

  it.runIf(process.platform === 'linux')('does not share it with another instance', async () => {
    const port = await freePort();
    const stranger = createServer();
    stranger.listen({ port, host: '127.0.0.1', exclusive: true, reusePort: true });
    await once(stranger, 'listening');
    ends.push(async () => stranger.close());
    await expect(telemetry.listen(port, { shared: true, installationId: randomUUID(), log })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(`process ${process.pid}`),
    });
  });
});

describe('a scrape of several processes', () => {
  const socketName = () => join('', `${randomUUID().replaceAll('-', '').slice(-12)}.sock`);

  it('has all of them whichever is asked, says who did not answer, and leaves out who has ended', async () => {
    await using folder = await temporaryFolder();
    const path = () => join(folder.path, socketName());
    const [one, two, hanging, killed] = [path(), path(), path(), path()];
    const both = [one, two].map((socket) => ({ socket, telemetry: openTelemetry(options(), socket) }));
    for (const { socket, telemetry: own } of both) {
      const server = createServer(own.onSocket((_, response) => response.writeHead(500).end(), log)).listen(socket);
      await once(server, 'listening');
      ends.push(async () => server.close());
      own.metrics.toolCall('alpha', 'echo', 'success', 'none', 3);
    }
    const dead = createSocketServer().listen(killed);
    await once(dead, 'listening');
    // As a killed process leaves it: the file is there, and nobody listens.
    const { renameSync } = await import('node:fs');
    renameSync(killed, `${killed}.kept`);
    dead.close();
    await once(dead, 'close');
    renameSync(`${killed}.kept`, killed);
    const seen = async (index: number): Promise<Scrape> => parseScrape((await both[index]?.telemetry.scrape()) ?? '');
    for (const index of [0, 1]) {
      const found = await seen(index);
      expect(found.find('systemprompt_build_info')).toHaveLength(2);
      expect(found.sum('systemprompt_mcp_tool_calls_total')).toBe(2);
      expect(found.sum('systemprompt_metrics_unanswered_processes')).toBe(0);
    }
    const silent = createSocketServer().listen(hanging);
    await once(silent, 'listening');
    ends.push(async () => silent.close());
    const since = performance.now();
    const found = await seen(0);
    expect(performance.now() - since).toBeLessThan(8000);
    expect(found.find('systemprompt_build_info')).toHaveLength(2);
    expect(found.sum('systemprompt_metrics_unanswered_processes')).toBe(1);
    for (const { telemetry: own } of both) own.metrics.close();
  });

  it('never answers with what was measured before it was asked', async () => {
    await using folder = await temporaryFolder();
    const [own, slow] = [join(folder.path, socketName()), join(folder.path, socketName())];
    const held = Promise.withResolvers<void>();
    const server = createServer((_, response) => void held.promise.then(() => response.end('\n'))).listen(slow);
    await once(server, 'listening');
    ends.push(async () => server.close());
    const process_ = openTelemetry(options(), own);
    const early = process_.scrape();
    await once(server, 'request');
    process_.metrics.toolCall('alpha', 'echo', 'success', 'none', 1);
    const late = [process_.scrape(), process_.scrape()];
    held.resolve();
    expect(parseScrape(await early).sum('systemprompt_mcp_tool_calls_total')).toBe(0);
    for (const text of await Promise.all(late)) {
      expect(parseScrape(text).sum('systemprompt_mcp_tool_calls_total')).toBe(1);
    }
    process_.metrics.close();
  });

  it('keeps each family in one piece, and leaves out one that means something else there', async () => {
    const block = (type: string, value: number) =>
      `# HELP a_total A.\n# TYPE a_total ${type}\na_total{instance_id="${value}"} ${value}`;
    expect(mergeFamilies([`${block('counter', 1)}\n`, `${block('counter', 2)}\n`, `${block('gauge', 3)}\n`])).toBe(
      `${block('counter', 1)}\na_total{instance_id="2"} 2`,
    );
    const metrics = [new ApiMetrics(options('a"b\\c\nd')), new ApiMetrics(options())];
    const text = `${mergeFamilies(await Promise.all(metrics.map((each) => each.text())))}\n`;
    expect(
      parseScrape(text)
        .find('systemprompt_build_info')
        .map(({ labels }) => labels['instance_id']),
    ).toContain('a"b\\c\nd');
    for (const each of metrics) each.close();
  });
});
