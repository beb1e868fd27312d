import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Sent {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly message: { readonly id?: unknown; readonly method?: string; readonly params?: Record<string, unknown> };
}

/** A server elsewhere that does what a test says. */
export interface Upstream extends AsyncDisposable {
  readonly endpoint: string;
  readonly got: Sent[];
}

export type Behaviour = (sent: Sent, res: ServerResponse, req: IncomingMessage) => unknown;

export async function upstream(behaviour: Behaviour): Promise<Upstream> {
  const got: Sent[] = [];
  const server = createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const message = body === '' ? {} : (JSON.parse(body) as Sent['message']);
    const sent: Sent = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, message };
    got.push(sent);
    await behaviour(sent, res, req);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    got,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export function json(res: ServerResponse, value: object, status = 200, headers: Record<string, string> = {}): void {
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify({ jsonrpc: '2.0', ...value }));
}

const info = { name: 'scripted', version: '1' };

/** What a legacy server answers to what every client begins with; false when it is something else. */
export function legacyOpening(
  { message, method }: Sent,
  res: ServerResponse,
  headers: Record<string, string> = {},
): boolean {
  if (message.method === 'server/discover') {
    json(res, { id: message.id, error: { code: -32601, message: 'Method not found' } }, 400);
  } else if (message.method === 'initialize') {
    const result = { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: info };
    json(res, { id: message.id, result }, 200, headers);
  } else if (message.method?.startsWith('notifications/') === true) res.writeHead(202).end();
  else if (method === 'DELETE') res.writeHead(204).end();
  else return false;
  return true;
}

/** The same of a modern one. */
export function modernOpening({ message }: Sent, res: ServerResponse): boolean {
  if (message.method === 'server/discover') {
    const result = {
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { 'io.modelcontextprotocol/serverInfo': info },
    };
    json(res, { id: message.id, result });
  } else if (message.method === 'initialize') {
    json(res, { id: message.id, error: { code: -32022, message: 'Unsupported protocol version' } }, 400);
  } else return false;
  return true;
}

export const text = (value: string) => ({ content: [{ type: 'text', text: value }] });
