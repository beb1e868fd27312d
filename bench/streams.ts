import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createLocalInstance } from '../src/lib/infra/config/instance.ts';
import { ApiRig } from '../test/helpers/api-rig.ts';
import { until } from '../test/helpers/until.ts';
import { round } from './mcp-router/load.ts';
import { judged, legacyHeaders, machine, record, rssMb } from './mcp-router/measuring.ts';

/*
 * What an API process holds for open streams of MCP servers: its resident memory with 1,000 of them and 100 events a second
 * against that before, and how much later an event comes than over as many streams straight to the server. Usage:
 * node bench/streams.ts [streams] [--quick]
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false } },
});
const { quick } = values;
const streams = Number(positionals[0] ?? (quick ? 100 : 1_000));
const barMb = 60;
const eventsPerSecond = 100;
const eventSeconds = quick ? 3 : 20;
const tickMs = 50;

const event = (params: object) =>
  `event: message\ndata: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params })}\n\n`;

/** Streams that the server has open, in the order in which they came. */
const open = new Set<ServerResponse>();
const backend = createServer((req, res) => {
  if (req.method === 'GET') {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    res.write(event({}));
    open.add(res);
    res.once('close', () => open.delete(res));
    return;
  }
  req.resume().on('end', () => {
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}');
  });
});
backend.listen(0, '127.0.0.1');
await once(backend, 'listening');
const backendPort = (backend.address() as AddressInfo).port;

interface Listeners {
  readonly responses: readonly IncomingMessage[];
  /** Ms from the moment an event was written at the server until it had come, of all so far. */
  readonly times: number[];
}

async function listen(url: string, authorization?: string): Promise<Listeners> {
  const responses: IncomingMessage[] = [];
  const times: number[] = [];
  const one = async (): Promise<void> => {
    const headers = { ...legacyHeaders, ...(authorization === undefined ? {} : { authorization }) };
    const req = request(url, { method: 'GET', headers, agent: false });
    req.end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    if (res.statusCode !== 200) throw new Error(`a stream was refused: ${res.statusCode}`);
    await once(res, 'data');
    res.on('data', (chunk: Buffer) => {
      for (const [, at] of chunk.toString().matchAll(/"at":([\d.]+)/g)) times.push(performance.now() - Number(at));
    });
    responses.push(res);
  };
  for (let at = 0; at < streams; at += 50) {
    await Promise.all(Array.from({ length: Math.min(50, streams - at) }, one));
  }
  return { responses, times };
}

/** Events at the rate, to one stream after another. @returns how late they came */
async function events({ times }: Listeners) {
  const all = [...open];
  const perTick = (eventsPerSecond * tickMs) / 1_000;
  const began = performance.now();
  let sent = 0;
  while (sent < eventsPerSecond * eventSeconds) {
    for (let count = 0; count < perTick; count += 1) {
      all[sent % all.length]?.write(event({ at: performance.now() }));
      sent += 1;
    }
    await delay(Math.max(0, began + (sent / eventsPerSecond) * 1_000 - performance.now()));
  }
  await until('every event has come', () => times.length >= sent, 10_000);
  times.sort((a, b) => a - b);
  const at = (share: number) => round(times[Math.floor((times.length - 1) * share)] ?? Number.NaN, 2);
  return { events: times.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

const rig = await ApiRig.create(['alpha'], createLocalInstance);
try {
  const { child } = await rig.startApi();
  await rig.announce('alpha', backendPort);
  const authorization = `Bearer ${await rig.token('alpha')}`;
  const url = rig.endpoint('alpha');
  const ask = async (): Promise<number> => {
    const headers = { ...legacyHeaders, authorization };
    const response = await fetch(url, { method: 'POST', headers, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
    await response.text();
    return response.status;
  };
  await until('the server is known', async () => (await ask()) === 200);
  // What a warm process holds anyway is none of the streams'.
  for (let n = 0; n < 2_000; n += 1) await ask();
  const idleMb = rssMb(child.pid);
  const ours = await listen(url, authorization);
  const openMb = rssMb(child.pid);
  const through = await events(ours);
  const busyMb = rssMb(child.pid);
  for (const res of ours.responses) res.destroy();
  await until('the streams are closed', () => open.size === 0, 20_000);
  const straight = await listen(`http://127.0.0.1:${backendPort}/mcp`);
  const direct = await events(straight);
  for (const res of straight.responses) res.destroy();
  const overMb = round(Math.max(openMb, busyMb) - idleMb, 1);
  const ratio = round(overMb / barMb, 2);
  const bar = judged(`${streams} streams, MB over idle, of ${barMb}: ≤ 1`, ratio, overMb <= barMb);
  const results = {
    name: 'streams',
    method: `one API process, warmed by 2,000 requests; ${streams} streams (GET) to one server, each on a connection of its own; then ${eventsPerSecond} events a second for ${eventSeconds} s, to one stream after another, and the same over as many streams straight to the server; resident memory before, with all open, and after the events; server and clients are one process`,
    machine: machine(),
    streams,
    idleMb,
    openMb,
    busyMb,
    overMb,
    kbEach: round((overMb * 1024) / streams, 1),
    through,
    direct,
    addedP50Ms: round(through.p50 - direct.p50, 2),
    ofDirectP50: round(through.p50 / direct.p50, 2),
    bar: { overMb: barMb, ratio: bar.ratio, met: bar.met },
  };
  process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  if (streams === 1_000 && !quick) await record('streams', results);
} finally {
  await rig.remove();
  backend.closeAllConnections();
  backend.close();
}
