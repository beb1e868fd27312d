import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { withMcpServer } from '../../../src/lib/app/mcp-client.ts';

/** What a call ends with when every request is answered so. */
async function failureOf(status: number, body: unknown): Promise<unknown> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = {
    url: `http://127.0.0.1:${port}/mcp`,
    token: 't',
    version: '1',
    timeoutMs: 5000,
    signal: new AbortController().signal,
  };
  try {
    return await withMcpServer(connection, (session) => session.listTools()).catch((error: unknown) => error);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const rpc = (data: unknown) => ({ jsonrpc: '2.0', id: null, error: { code: -32_000, message: 'It has ended.', data } });

it.each([
  ['UPSTREAM_UNAVAILABLE', 503, 'UPSTREAM_UNAVAILABLE'],
  ['UPSTREAM_FAILED', 502, 'UPSTREAM_FAILED'],
  ["somebody else's", 500, 'UPSTREAM_FAILED'],
  ['constructor', 500, 'UPSTREAM_FAILED'],
])('says a JSON-RPC error in its own words, with the code %s', async (code, status, expected) => {
  const error = await failureOf(status, rpc({ code, next: ['rm -rf /'] }));
  expect(error).toMatchObject({ message: 'It has ended.', code: expected });
  expect(JSON.stringify([(error as { next: unknown }).next, (error as Error).cause])).not.toContain('rm');
});
