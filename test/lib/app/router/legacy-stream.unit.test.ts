import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import type { Exchange } from '../../../../src/lib/app/router/exchange.ts';
import { KeepAlive } from '../../../../src/lib/app/router/keep-alive.ts';
import { LegacyStream } from '../../../../src/lib/app/router/legacy-stream.ts';

it('a client that lets answers come and reads none of them is cut off', async () => {
  const keepAlive = new KeepAlive();
  const opened = Promise.withResolvers<LegacyStream>();
  let closed = false;
  const server = createServer((_req, res) => {
    const exchange = { res, headers: {} } as unknown as Exchange;
    const sessions = { known: () => undefined, hold: () => () => undefined };
    const onClose = () => {
      closed = true;
    };
    opened.resolve(
      new LegacyStream({ id: 's', exchange, keepAlive, sessions, listen: async () => undefined, onClose }, '/messages'),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // Nobody takes the response, so nothing of it is read.
  const client = get({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }).on('error', () => undefined);
  client.on('response', (answer) => answer.on('error', () => undefined).pause());
  try {
    const stream = await opened.promise;
    const answer = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { text: 'x'.repeat(1_000_000) } });
    let sent = 0;
    while (!closed && sent < 100) {
      stream.send(answer);
      sent += 1;
      await new Promise(setImmediate);
    }
    expect(sent).toBeGreaterThan(20);
    expect(sent).toBeLessThan(100);
  } finally {
    keepAlive.close();
    server.closeAllConnections();
    server.close();
  }
});
