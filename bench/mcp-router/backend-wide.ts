import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';

/*
 * A responder like backend-bare.ts that begins sessions, and answers in one of several forms: `--sse` as a stream with one
 * event before the answer, `--bytes` with so large a result. Prints its port.
 */

const { values } = parseArgs({
  options: { sse: { type: 'boolean', default: false }, bytes: { type: 'string', default: '5' } },
});
const protocol = {
  protocolVersion: '2025-11-25',
  capabilities: { tools: {} },
  serverInfo: { name: 'wide', version: '1' },
};
const tools = [{ name: 'echo', inputSchema: { type: 'object' } }];
const answerOf = (id: number, result: object) => JSON.stringify({ jsonrpc: '2.0', id, result });
const callResult = JSON.stringify({ content: [{ type: 'text', text: 'x'.repeat(Number(values.bytes)) }] });
const progress = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"half"}}';

const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    if (req.method !== 'POST') return void res.writeHead(req.method === 'DELETE' ? 204 : 405).end();
    const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id?: number; method: string };
    if (id === undefined) return void res.writeHead(202).end();
    if (method === 'tools/call') {
      const text = `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${callResult}}`;
      if (!values.sse) return json(text);
      res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
      res.write(`event: message\ndata: ${progress}\n\n`);
      return void res.end(`event: message\ndata: ${text}\n\n`);
    }
    if (method !== 'initialize') return json(answerOf(id, method === 'tools/list' ? { tools } : {}));
    json(answerOf(id, protocol), { 'mcp-session-id': randomUUID() });
  });
  function json(text: string, headers: Readonly<Record<string, string>> = {}): void {
    const body = Buffer.from(text);
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length, ...headers }).end(body);
  }
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => process.exit(0));
