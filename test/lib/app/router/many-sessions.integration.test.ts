import { type IncomingMessage, request } from 'node:http';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { until } from '../../../helpers/until.ts';
import { openTestGateway, type TestGateway } from './gateway.ts';

// The short form of test/soak/sessions.ts: many sessions of old clients at once, none of which gets what is another's.

const count = 80;
let test: TestGateway;

beforeAll(async () => {
  test = await openTestGateway();
});
afterAll(() => test.close());

function open(): Promise<{ endpoint: string; text: () => string; close: () => void }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${test.bearer}`, accept: 'text/event-stream' };
    const req = request({ host: '127.0.0.1', port: test.port, path: '/api/v1/mcp/alpha/sse', headers, agent: false });
    req.on('error', reject);
    req.on('response', (res: IncomingMessage) => {
      let text = '';
      res.on('error', () => {});
      res.on('data', (chunk) => {
        text += String(chunk);
        const endpoint = /event: endpoint\ndata: (\S+)\n\n/.exec(text)?.[1];
        if (endpoint !== undefined) resolve({ endpoint, text: () => text, close: () => req.destroy() });
      });
    });
    req.end();
  });
}

it('each has its own stream, session and answers; all are on record, and over when their clients are gone', async () => {
  const clients = await Promise.all(Array.from({ length: count }, () => open()));
  const post = (endpoint: string, message: object) => test.send(JSON.stringify(message), {}, 'POST', endpoint);
  await Promise.all(
    clients.map(({ endpoint }, n) =>
      post(endpoint, { jsonrpc: '2.0', id: 0, method: 'initialize', params: { session: `many-${n}` } }),
    ),
  );
  await until('all have begun', () => clients.every(({ text }) => text().includes('"id":0')));
  await test.seen();
  const call = (n: number) => ({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'echo', arguments: { mine: n } },
  });
  const replies = await Promise.all(clients.map(({ endpoint }, n) => post(endpoint, call(n))));
  expect(replies.every(({ status }) => status === 202)).toBe(true);
  await until('all are answered', () => clients.every(({ text }) => text().includes('"id":1')));
  clients.forEach(({ text }, n) => {
    expect([...text().matchAll(/mine\\":(\d+)/g)].map(([, mine]) => Number(mine))).toEqual([n]);
  });
  const { requests } = await test.seen();
  expect(new Set(requests.map(({ headers }) => headers['mcp-session-id'])).size).toBe(count);
  const onRecord = async (condition: string) =>
    (await test.owner.query(`SELECT FROM mcp.sessions WHERE upstream_id LIKE 'many-%' AND ${condition}`)).length;
  for (const { close } of clients) close();
  await until('all are over', async () => (await onRecord("end_reason = 'closed'")) === count);
  // Thousands that end at once are written down together: one transaction for each took minutes.
  const [times] = await test.owner.query<{ n: number }>(
    "SELECT count(DISTINCT ended_at)::int AS n FROM mcp.sessions WHERE upstream_id LIKE 'many-%'",
  );
  expect(times?.n).toBeLessThan(count / 2);
  expect(await test.rowsOf()).toHaveLength(count);
  expect(test.unhandled).toEqual([]);
});
