import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestApi, type TestApi } from '../../helpers/api.ts';
import { until } from '../../helpers/identity.ts';

const nobody = { jwks: { keys: [] }, verify: () => Promise.reject(new Error('not asked')) };
const open: TestApi[] = [];
afterEach(async () => {
  for (const api of open.splice(0)) await api.close();
});

/** An API whose MCP handler answers when the test says so, or after a given time. */
async function start(handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<TestApi> {
  const api = await startTestApi(nobody, { mcp: { handle } });
  open.push(api);
  return api;
}

const after = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const path = '/api/v1/mcp/alpha/mcp';

interface Tally {
  ok: number;
  refused: number;
  failures: string[];
}

/** Clients that keep their connection and ask again and again until nobody listens any more. */
async function client(port: number, tally: Tally, keepAlive: boolean): Promise<void> {
  const agent = new Agent({ keepAlive, maxSockets: 1 });
  for (;;) {
    const outcome = await new Promise<string>((done) => {
      const request = httpRequest(
        { host: '127.0.0.1', port, path, method: 'POST', agent, headers: { host: 'localhost:8080' } },
        (response) => {
          response.resume().on('end', () => done(response.statusCode === 200 ? 'ok' : `status ${response.statusCode}`));
          response.on('error', (error) => done(`answer ${error.message}`));
        },
      );
      request.on('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
      request.end('{}');
    });
    if (outcome === 'ok') tally.ok += 1;
    else if (outcome === 'ECONNREFUSED') {
      tally.refused += 1;
      break;
    } else {
      tally.failures.push(outcome);
      break;
    }
  }
  agent.destroy();
}

describe('draining', () => {
  it.each([true, false])('under load loses no request (connections kept: %s)', async (keepAlive) => {
    for (let turn = 0; turn < 3; turn += 1) {
      const api = await start(async (request, response) => {
        request.resume();
        await after(10);
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
      const tally: Tally = { ok: 0, refused: 0, failures: [] };
      const clients = Array.from({ length: 20 }, () => client(api.endpoint.port, tally, keepAlive));
      await until('there is load', () => tally.ok > 100);
      const startedAt = performance.now();
      const cut = await api.endpoint.drain({ deadlineMs: 5000 });
      const took = performance.now() - startedAt;
      await Promise.all(clients);
      expect(tally.failures).toEqual([]);
      expect(tally.refused).toBe(20);
      expect(cut).toBe(0);
      expect(took).toBeLessThan(2000);
    }
  });

  it('lets a running request end, tells its client to go elsewhere, and says 503 at /readyz meanwhile', async () => {
    const { promise: gate, resolve: release } = Promise.withResolvers<void>();
    let arrived = 0;
    const api = await start(async (_request, response) => {
      arrived += 1;
      await gate;
      response.writeHead(200).end('done');
    });
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = (target: string, agent: Agent) =>
      new Promise<{ status: number; connection: string | undefined; text: string }>((done, fail) => {
        httpRequest({ host: '127.0.0.1', port: api.endpoint.port, path: target, agent }, (response) => {
          let text = '';
          response.on('data', (chunk) => {
            text += chunk;
          });
          response.on('end', () =>
            done({ status: response.statusCode ?? 0, connection: response.headers.connection, text }),
          );
        })
          .on('error', fail)
          .end();
      });
    expect((await ask('/readyz', kept)).status).toBe(200);
    const running = ask(path, new Agent());
    await until('the request is there', () => arrived === 1);
    const drained = api.endpoint.drain({ deadlineMs: 5000 });
    // Clients are asked to go as soon as nobody listens, some turns later.
    let ready = await ask('/readyz', kept);
    while (ready.connection !== 'close') {
      expect(ready.status).toBe(503);
      ready = await ask('/readyz', kept);
    }
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.text).reasons[0].code).toBe('DRAINING');
    await until('nobody listens', () =>
      ask('/readyz', new Agent()).then(
        () => false,
        (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
      ),
    );
    release();
    expect(await running).toEqual({ status: 200, connection: 'close', text: 'done' });
    expect(await drained).toBe(0);
    kept.destroy();
  });

  it('closes idle and silent connections, and at the deadline what does not end', async () => {
    const api = await start(() => new Promise(() => {}));
    const { port } = api.endpoint;
    const silent = connect(port, '127.0.0.1');
    const stuck = connect(port, '127.0.0.1', () => stuck.write(`GET ${path} HTTP/1.1\r\nHost: localhost:8080\r\n\r\n`));
    const closed = [silent, stuck].map(
      (socket) =>
        new Promise<number>((done) => socket.on('error', () => {}).on('close', () => done(performance.now()))),
    );
    await until('both are there', () => api.endpoint.connections === 2);
    const startedAt = performance.now();
    expect(await api.endpoint.drain({ deadlineMs: 1800 })).toBe(1);
    const [silentAt, stuckAt] = (await Promise.all(closed)).map((at) => at - startedAt);
    expect(silentAt).toBeLessThan(1700);
    expect(stuckAt).toBeGreaterThanOrEqual(1790);
    await until('none is left', () => api.endpoint.connections === 0);
  });
});
