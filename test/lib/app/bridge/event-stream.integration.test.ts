import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, it } from 'vitest';
import { EventStream } from '../../../../src/lib/app/bridge/event-stream.ts';
import { until } from '../../../helpers/until.ts';

it('cuts off a client that does not read, rather than keep all that it has not read', async () => {
  let most = 0;
  let sent = 0;
  let over = false;
  const server = createServer((_, res) => {
    const stream = new EventStream(res);
    const message = JSON.stringify({ text: 'x'.repeat(1024 * 1024) });
    const send = () => {
      over = !stream.open;
      if (over) return;
      stream.send(message);
      sent += 1;
      most = Math.max(most, res.writableLength);
      setImmediate(send);
    };
    send();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined).pause();
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await until('it is cut off', () => over);
  expect(sent).toBeGreaterThan(10);
  expect(most).toBeLessThan(20 * 1024 * 1024);
  socket.destroy();
  server.close();
});
