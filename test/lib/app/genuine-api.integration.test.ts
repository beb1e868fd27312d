import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { requireGenuineApi } from '../../../src/lib/app/genuine-api.ts';
import type { InstanceStatus, ServiceState } from '../../../src/lib/app/supervisor/status.ts';

let server: Server;
let url: string;
let body: string;
let asked: string[];

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? 'without token'}`);
    response.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => {
  server.close();
});

function status(state: ServiceState): InstanceStatus {
  return {
    instanceId: 'i',
    root: '/',
    profile: 'local',
    supervisor: { pid: 1, version: '0', epoch: 1, startedAt: '', state: 'running', rss: 0, acting: true },
    url,
    services: [{ name: 'api', kind: 'api', state, instanceId: 'run', generation: 1, restarts: 0 }],
    phases: [],
  };
}

const check = (state: ServiceState) => requireGenuineApi(status(state), new AbortController().signal);

it('whoever took the port of the API is asked nothing while the API is not ready', async () => {
  body = '{"instanceId":"run"}';
  for (const state of ['failed', 'backoff', 'starting', 'stopped', 'unhealthy'] as const) {
    await expect(check(state)).rejects.toMatchObject({ code: 'API_UNAVAILABLE' });
  }
  expect(asked).toEqual([]);
});

it('an impostor on the port of an API that counts as ready is found out before it gets a token', async () => {
  for (body of ['{"instanceId":"another"}', 'hello', '[]', 'null', `{"instanceId":"${'x'.repeat(100_000)}`]) {
    await expect(check('ready')).rejects.toMatchObject({
      code: 'API_UNAVAILABLE',
      message: expect.stringContaining('Another process answers'),
    });
  }
  expect(new Set(asked)).toEqual(new Set(['/healthz without token']));
});

it('the API itself passes, an address where nobody answers does not', async () => {
  body = '{"instanceId":"run","pid":1}';
  await expect(check('ready')).resolves.toBeUndefined();
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
  await expect(check('ready')).rejects.toMatchObject({ code: 'API_UNAVAILABLE' });
});
