// A stranger that listens on a port as soon as nobody else does: `node thief.mjs <port>`. Prints `held` then; ends when
// its input does.
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const port = Number(process.argv[2]);
process.stdin.resume().on('end', () => process.exit(0));
for (;;) {
  const server = createServer((socket) => socket.destroy());
  const held = await new Promise((resolve) => {
    server
      .once('error', () => resolve(false))
      .listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true));
  });
  if (held) break;
  await delay(2);
}
console.log('held');
