import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { ServiceEndpoint } from '../../../../src/lib/app/supervisor/directory.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { openTestGateway, type TestGateway } from './gateway.ts';

// A server whose process is being replaced: its row says where the next one is before the old one stops listening.

let test: TestGateway;
let backend: ServiceEndpoint;
beforeAll(async () => {
  test = await openTestGateway();
  backend = test.endpoints.get('mcp:alpha') as ServiceEndpoint;
});
afterAll(() => test.close());

let looks = 0;
beforeEach(() => {
  looks = 0;
});

/** The directory shows a run on the port, and after a fresh look what is given. */
function moving(port: number, next: Partial<ServiceEndpoint> | undefined): void {
  const old = { ...backend, port, instanceId: randomUUID() as ServiceInstanceId };
  test.endpoints.set('mcp:alpha', old);
  test.refresh.now = () => {
    looks += 1;
    test.endpoints.set('mcp:alpha', { ...old, ...next });
  };
}

async function refusingPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

it('a call that the old process refuses goes to the one that took its place, and runs once', async () => {
  moving(await refusingPort(), backend);
  const before = (await test.executed()).length;
  const replies = await Promise.all(Array.from({ length: 8 }, (_, n) => test.call('echo', { n })));
  expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
  expect(looks).toBeGreaterThan(0);
  const ids = replies.map(({ headers }) => headers['x-systemprompt-execution-id']);
  expect((await test.executed()).slice(before).sort()).toEqual([...ids].sort());
  for (const reply of replies) expect(await test.rowOf(reply)).toMatchObject({ status: 'success' });
});

it('what is no call goes along too', async () => {
  moving(await refusingPort(), backend);
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
  expect((await test.send(body)).json).toMatchObject({ result: { method: 'tools/list' } });
});

it('fails after one look when nobody took the place', async () => {
  moving(await refusingPort(), undefined);
  const reply = await test.call('echo');
  expect(reply.status).toBe(502);
  expect(await test.rowOf(reply)).toMatchObject({ status: 'failed', error: expect.stringContaining('reached') });
  expect(looks).toBe(1);
});

it('follows a server that moves again and again so often and no further', async () => {
  const ports = await Promise.all(Array.from({ length: 9 }, refusingPort));
  moving(ports[0] ?? 0, undefined);
  test.refresh.now = () => {
    looks += 1;
    const endpoint = { ...backend, port: ports[looks] ?? 0, instanceId: randomUUID() as ServiceInstanceId };
    test.endpoints.set('mcp:alpha', endpoint);
  };
  expect((await test.call('echo')).status).toBe(502);
  expect(looks).toBe(2);
});

it('never sends again what has reached a process, in whole or in part', async () => {
  let reached = 0;
  const rude = createServer((socket) => {
    socket.once('data', () => {
      reached += 1;
      socket.resetAndDestroy();
    });
  }).listen(0, '127.0.0.1');
  await once(rude, 'listening');
  moving((rude.address() as AddressInfo).port, backend);
  const before = (await test.executed()).length;
  const reply = await test.call('echo');
  expect(reply.status).toBe(502);
  expect(await test.rowOf(reply)).toMatchObject({ status: 'failed' });
  expect({ reached, looks }).toEqual({ reached: 1, looks: 0 });
  expect(await test.executed()).toHaveLength(before);
  rude.close();
});
