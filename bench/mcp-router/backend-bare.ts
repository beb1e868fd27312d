import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

// The ceiling: an HTTP responder that answers every call with the same bytes. Prints its port.

const body = Buffer.from('{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}}');
const headers = { 'content-type': 'application/json', 'content-length': body.length };

const server = createServer((req, res) => {
  req.resume().on('end', () => {
    res.writeHead(200, headers);
    res.end(body);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => process.exit(0));
