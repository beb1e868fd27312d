import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { ApiRig } from '../helpers/api-rig.ts';
import { until } from '../helpers/until.ts';

/*
 * 4,000 sessions of old clients (MCP 2024-11-05, HTTP with SSE) at once, held for ten minutes: each has its stream, begins a
 * session and asks again and again; none may fail, lose its stream or get what is another's.
 * Usage: npm run test:soak -- sessions [count] [seconds]
 */

const [count = 4_000, seconds = 600] = process.argv.slice(2).map(Number);

let next = 0;
// As long as servers of ours keep connections.
const backend = createServer({ keepAliveTimeout: 75_000 }, (req, res) => {
  if (req.method === 'GET') {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    return;
  }
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const message = JSON.parse(Buffer.concat(chunks).toString() || '{}') as { id?: number; method?: string };
    if (message.id === undefined) return res.writeHead(202).end();
    if (message.method === 'initialize') {
      next += 1;
      res.setHeader('mcp-session-id', `s-${next}`);
    }
    const session = req.headers['mcp-session-id'];
    res.writeHead(200, { 'content-type': 'application/json' });
    return res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result: { session } }));
  });
});
backend.listen(0, '127.0.0.1');
await once(backend, 'listening');
const rig = await ApiRig.create(['alpha'], createLocalInstance);
const failures: string[] = [];
/** Errors that came instead of results, by what they said. */
const errors = new Map<string, number>();
let answered = 0;

interface Message {
  readonly id?: number;
  readonly result?: { readonly session?: string };
  readonly error?: unknown;
}

interface Client {
  readonly post: (message: object) => Promise<void>;
  readonly answers: Map<number, { session?: string }>;
  readonly close: () => void;
}

async function connectClient(authorization: string): Promise<Client> {
  const answers = new Map<number, { session?: string }>();
  const endpoint = Promise.withResolvers<string>();
  let over = false;
  const req = request(rig.endpoint('alpha').replace(/mcp$/, 'sse'), {
    agent: false,
    headers: { authorization, accept: 'text/event-stream' },
  });
  req.on('error', (error) => endpoint.reject(error));
  req.on('response', (res: IncomingMessage) => {
    if (res.statusCode !== 200) endpoint.reject(new Error(`a stream was refused: ${res.statusCode}`));
    let text = '';
    res.on('error', () => {});
    res.on('close', () => {
      if (!over) failures.push('a stream ended');
    });
    res.on('data', (chunk) => {
      text += String(chunk);
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
        const event = text.slice(0, end);
        text = text.slice(end + 2);
        const data = /^data: (.*)$/m.exec(event)?.[1];
        if (data === undefined) continue;
        if (event.startsWith('event: endpoint')) endpoint.resolve(data);
        else {
          const { id = -1, result = {}, error } = JSON.parse(data) as Message;
          if (error !== undefined) {
            const said = `round ${id}: ${JSON.stringify(error).slice(0, 300)}`;
            errors.set(said, (errors.get(said) ?? 0) + 1);
          }
          answers.set(id, result);
          answered += 1;
        }
      }
    });
  });
  req.end();
  const url = new URL(await endpoint.promise, rig.url);
  const headers = { authorization, 'content-type': 'application/json' };
  return {
    answers,
    post: async (message) => {
      const res = await fetch(url, { method: 'POST', headers, body: JSON.stringify(message) });
      await res.arrayBuffer();
      if (res.status !== 202) failures.push(`a message was refused: ${res.status}`);
    },
    close: () => {
      over = true;
      req.destroy();
    },
  };
}

try {
  await rig.startApi();
  await rig.announce('alpha', (backend.address() as AddressInfo).port);
  const authorization = `Bearer ${await rig.token('alpha')}`;
  await until('the server is known', async () => {
    const headers = { authorization, 'content-type': 'application/json' };
    const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
    const res = await fetch(rig.endpoint('alpha'), { method: 'POST', headers, body });
    await res.arrayBuffer();
    return res.status === 200;
  });
  const clients: Client[] = [];
  const begun = performance.now();
  for (let at = 0; at < count; at += 50) {
    const some = Array.from({ length: Math.min(50, count - at) }, async () => {
      const client = await connectClient(authorization);
      clients.push(client);
      await client.post({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2024-11-05' } });
      await until('a session has begun', () => client.answers.has(0), 30_000);
      await client.post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    });
    await Promise.all(some);
  }
  const openedMs = Math.round(performance.now() - begun);
  const deadline = performance.now() + seconds * 1000;
  let round = 0;
  do {
    round += 1;
    for (let at = 0; at < clients.length; at += 50) {
      await Promise.all(
        clients.slice(at, at + 50).map((client) => client.post({ jsonrpc: '2.0', id: round, method: 'ping' })),
      );
    }
    await until('all are answered', () => clients.every(({ answers }) => answers.has(round)), 60_000);
    const named = clients.flatMap(({ answers }) => answers.get(round)?.session ?? []);
    if (named.length !== count) failures.push(`${count - named.length} sessions got no result`);
    if (new Set(named).size !== named.length) failures.push("sessions got what is another's");
    await delay(Math.min(5_000, Math.max(0, deadline - performance.now())));
  } while (performance.now() < deadline && failures.length === 0);
  if (failures.length > 0) process.stderr.write(`${[...new Set(failures)].join('\n')}\n${[...errors].join('\n')}\n`);
  await until(
    'all are on record',
    async () => {
      const [row] = await rig.database.query<{ open: number }>(
        'SELECT count(*)::int AS open FROM mcp.sessions WHERE ended_at IS NULL',
      );
      return row?.open === count;
    },
    60_000,
  );
  for (const client of clients) client.close();
  await until(
    'all are over',
    async () => {
      const [row] = await rig.database.query<{ open: number }>(
        'SELECT count(*)::int AS open FROM mcp.sessions WHERE ended_at IS NULL',
      );
      return row?.open === 0;
    },
    180_000,
  );
  const report = {
    count,
    seconds,
    openedMs,
    rounds: round,
    answered,
    failures: [...new Set(failures)],
    errors: [...errors],
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  if (failures.length > 0) {
    process.exitCode = 1;
    process.stdout.write(`${(await readFile(rig.logFile, 'utf8')).split('\n').slice(-50).join('\n')}\n`);
  }
} finally {
  await rig.remove();
  backend.closeAllConnections();
  backend.close();
}
