// The service that both supervisors run, the same file and nothing but Node.js: answers at once, drains in good order on
// SIGINT and SIGTERM, and says when it listens to who wants to hear it (pm2's wait_ready).
import { createServer } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const health = JSON.stringify({
  instanceId: process.env.SYSTEMPROMPT_SERVICE_INSTANCE ?? process.env.INSTANCE_ID ?? '',
  pid: process.pid,
  version: '1',
});
let draining = false;
// Idle connections are kept for longer than they idle between two health checks, as the product's own services do.
const server = createServer({ keepAliveTimeout: 75_000 }, async (request, response) => {
  if (request.url !== '/healthz') await delay(5);
  response.writeHead(200, { 'content-type': 'application/json', ...(draining ? { connection: 'close' } : {}) });
  response.end(health);
});
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', reusePort: process.env.REUSE_PORT === '1' }, () =>
  process.send?.('ready'),
);

function drain() {
  if (draining) return;
  draining = true;
  // Not server.close(), which would cut connections that were accepted and whose request has not been read.
  NetServer.prototype.close.call(server, () => process.exit(0));
  setInterval(() => server.closeIdleConnections(), 100);
  // A worker of node:cluster is told of its last connection's end by nobody.
  setTimeout(() => process.exit(0), 1_200);
}
process.on('SIGINT', drain);
process.on('SIGTERM', drain);
