import { EventEmitter, once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { createRequestMeter } from '../src/entry/api/measure.ts';
import { ApiMetrics } from '../src/lib/infra/telemetry/api-metrics.ts';

/*
 * What measuring costs, in µs: each step by itself, one after another in one process, and beside it as the floor a
 * request that a bare node:http server answers over a kept connection. Usage: node bench/metrics.ts
 */

const rounds = 7;
const loadBefore = loadavg()[0] ?? 0;
const metrics = new ApiMetrics({
  instanceId: '00000000-0000-4000-8000-000000000001',
  service: 'api',
  version: '0.0.0',
  servers: Array.from({ length: 20 }, (_, index) => `server-${index}`),
  rateGroups: ['mcp'],
});
const meter = createRequestMeter(metrics);

class Answer extends EventEmitter {
  readonly headersSent = true;
  readonly statusCode = 200;
}

const server = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

const bareRequest = () =>
  new Promise<void>((done, fail) => {
    get({ host: '127.0.0.1', port, agent }, (answer) => answer.resume().once('end', done)).once('error', fail);
  });

/** A request as the meter sees it; its answer ends at once. */
function measured(): void {
  const [request, answer] = [{ method: 'POST' } as IncomingMessage, new Answer()];
  meter.begin(request, answer as unknown as ServerResponse);
  meter.group(request, 'mcp');
  answer.emit('close');
}

/** The same without the meter, to be taken off. */
function unmeasured(): void {
  const answer = new Answer();
  answer.once('close', () => undefined);
  answer.emit('close');
}

async function perTurn(times: number, turn: () => void | Promise<void>): Promise<number> {
  const since = performance.now();
  for (let at = 0; at < times; at += 1) {
    const work = turn();
    if (work !== undefined) await work;
  }
  return ((performance.now() - since) * 1000) / times;
}

let call = 0;
const steps: readonly (readonly [string, number, () => void | Promise<void>])[] = [
  ['floor', 4000, bareRequest],
  ['empty', 200_000, unmeasured],
  ['request', 200_000, measured],
  ['toolCall', 200_000, () => metrics.toolCall(`server-${call++ % 20}`, 'search', 'success', 'none', 3)],
  ['auditCommit', 200_000, () => metrics.auditCommit(1.2, true)],
  ['scrape', 50, async () => void (await metrics.text())],
];
const times = new Map<string, number[]>();
for (let round = -1; round < rounds; round += 1) {
  for (const [name, count, turn] of steps) {
    const us = await perTurn(count, turn);
    // The first round warms up.
    if (round >= 0) times.set(name, [...(times.get(name) ?? []), us]);
  }
}
agent.destroy();
server.close();
metrics.close();

const median = (name: string): number => {
  const sorted = [...(times.get(name) ?? [])].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};
const round = (value: number): number => Math.round(value * 100) / 100;
const request = Math.max(0, median('request') - median('empty'));
const result = {
  bench: 'metrics',
  date: new Date().toISOString().slice(0, 10),
  method: `median of ${rounds} rounds, the steps taking turns; µs, the mean of many one after another in one process; floor: a request that a bare node:http server answers over a kept connection, client and server in that process`,
  machine: {
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    loadAverageBefore: round(loadBefore),
  },
  floorUs: round(median('floor')),
  requestUs: round(request),
  toolCallUs: round(median('toolCall')),
  auditCommitUs: round(median('auditCommit')),
  /** A tool call alone: its request, itself, and the two commits that nobody shares with it. */
  wholeCallUs: round(request + median('toolCall') + 2 * median('auditCommit')),
  scrapeUs: round(median('scrape')),
};
const folder = join(import.meta.dirname, 'results');
await mkdir(folder, { recursive: true });
await writeFile(join(folder, 'metrics.json'), `${JSON.stringify(result, undefined, 2)}\n`);
process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
