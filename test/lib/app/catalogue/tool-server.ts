import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An entry of a list of tools; anything, for servers say anything. */
export type Listed = Record<string, unknown>;

/** A good tool. */
export function tool(name: string, more: Listed = {}): Listed {
  return { name, description: `Does ${name}.`, inputSchema: { type: 'object', properties: {} }, ...more };
}

interface Request {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type ToolServer = Awaited<ReturnType<typeof startToolServer>>;

/** An MCP server on loopback whose list of tools may be changed at any time; `tools/call` says what it was called by. */
export async function startToolServer(tools: Listed[]) {
  const state = {
    tools,
    /** Answer as events. */
    streams: false,
    /** Tools a page; all in one when absent. */
    pageSize: undefined as number | undefined,
    /** What tools/list is answered with instead. */
    answer: undefined as string | undefined,
    /** Members of the result beside the tools. */
    more: {} as Listed,
    /** Events before the answer of a call that is answered by events, and after it. */
    around: ['', ''] as [string, string],
  };
  const listeners = new Set<ServerResponse>();
  const requests: Request[] = [];
  const list = (cursor: unknown): Listed => {
    const { pageSize } = state;
    if (pageSize === undefined) return { tools: state.tools, ...state.more };
    const start = Number(cursor ?? 0);
    const end = start + pageSize;
    const next = end < state.tools.length ? { nextCursor: String(end) } : {};
    return { tools: state.tools.slice(start, end), ...next, ...state.more };
  };
  const listen = (res: ServerResponse) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n');
    listeners.add(res);
    res.once('close', () => listeners.delete(res));
  };
  const server = createServer((req, res) => {
    if (req.method === 'GET') return listen(res);
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      requests.push({ headers: req.headers, body });
      const { id, method, params = {} } = JSON.parse(body) as { id: unknown; method: string; params?: Listed };
      if (method === 'subscriptions/listen') return listen(res);
      const result =
        method === 'tools/list'
          ? list(params['cursor'])
          : { content: [{ type: 'text', text: `ran ${params['name']}` }] };
      const given = method === 'tools/list' ? state.answer : undefined;
      const text = given ?? JSON.stringify({ jsonrpc: '2.0', id, result });
      res.writeHead(200, { 'content-type': state.streams ? 'text/event-stream' : 'application/json' });
      const [before, after] = method === 'tools/call' ? state.around : ['', ''];
      res.end(state.streams ? `: hello\n\n${before}id: 7\nevent: message\ndata: ${text}\n\n${after}` : text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    state,
    requests,
    /** Says something on every stream that is listened on. */
    say: (text: string) => {
      for (const res of listeners) res.write(text);
    },
    listeners,
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
