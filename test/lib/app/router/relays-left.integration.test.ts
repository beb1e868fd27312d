import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { OwnAllowances } from '../../../../src/lib/app/rate-limit/quota.ts';
import { Breakers } from '../../../../src/lib/app/router/breaker.ts';
import { createMcpRouter } from '../../../../src/lib/app/router/router.ts';
import { ServerLimits } from '../../../../src/lib/app/router/server-limits.ts';
import type { Claims } from '../../../../src/lib/domain/auth/index.ts';
import { createLogger } from '../../../../src/lib/infra/logging/logger.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { serverConfig } from './gateway.ts';

const listen = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

it('a client that leaves while its token is made leaves no stream open at the server', async () => {
  let streams = 0;
  const backend = createServer((_req, res) => {
    streams += 1;
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  });
  const port = await listen(backend);
  const asked = Promise.withResolvers<void>();
  const token = Promise.withResolvers<string>();
  const instanceId = randomUUID() as ServiceInstanceId;
  const router = createMcpRouter({
    servers: [serverConfig({ delegate: true })],
    externalUrl: 'http://localhost:1',
    verifier: {
      verify: async () => ({ sub: 's', name: 'n', sid: 'i', scopes: ['user'], client: 'c' }) as unknown as Claims,
    },
    directory: {
      endpoint: (name) => ({ name, port, instanceId, state: 'ready', serving: true }),
      refresh: async () => {},
      onChange: () => () => {},
    },
    apiInstance: randomUUID(),
    breakers: new Breakers(),
    serverLimits: new ServerLimits(new OwnAllowances(() => performance.now())),
    executor: undefined as never, // no call is made
    identityRoot: randomBytes(32),
    delegation: {
      token: () => {
        asked.resolve();
        return token.promise;
      },
    },
    log: createLogger({ service: 'api', level: 'silent' }),
    limits: { bodyBytes: 1_000, callTimeoutMs: 1_000 },
  });
  const handled = Promise.withResolvers<void>();
  const api = createServer((req, res) => {
    res.once('close', () => token.resolve('t'));
    router.handle(req, res, 'alpha').then(handled.resolve, handled.reject);
  });
  const client = request({
    host: '127.0.0.1',
    port: await listen(api),
    headers: { accept: 'text/event-stream', authorization: 'Bearer x' },
  });
  client.on('error', () => undefined).end();
  await asked.promise;
  client.destroy();
  try {
    // Before the fix the exchange went on for as long as the API lived.
    expect(await Promise.race([handled.promise.then(() => 'over'), delay(3_000, 'open')])).toBe('over');
    expect(streams).toBe(0);
  } finally {
    await router.close(0);
    for (const server of [api, backend]) server.closeAllConnections();
    for (const server of [api, backend]) server.close();
  }
});
