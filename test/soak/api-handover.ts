import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { SupervisorClient } from '../../src/lib/app/supervisor/client.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { until } from '../helpers/until.ts';
import { HttpLoad } from './http-load.ts';
import { SoakSystem } from './system.ts';

/*
 * Restarts of the API under load, on the real product: `node test/soak/api-handover.ts [--requests 100000] [--restarts 20]
 * [--clients 20] [--workers 1] [--close]`. Prints what the clients got, how long the hand-overs took and what they cost in
 * memory. Exits 1 when a request failed or anything is left.
 */

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    restarts: { type: 'string', default: '20' },
    clients: { type: 'string', default: '20' },
    workers: { type: 'string', default: '1' },
    /** One connection a request. */
    close: { type: 'boolean', default: false },
  },
});
const requests = Number(values.requests);
const restarts = Number(values.restarts);

const system = await SoakSystem.create({ workers: Number(values.workers) });
try {
  const started = await system.cli('infra', 'services', 'start');
  if (started.code !== 0) throw new Error(started.stderr);
  const client = await SupervisorClient.connect(system.instance.controlSocket);
  const load = new HttpLoad(system.ports[0], { clients: Number(values.clients), keepAlive: !values.close });
  const times: number[] = [];
  let peak = 0;
  const idle = await system.residentBytes();
  const watch = setInterval(async () => {
    peak = Math.max(peak, await system.residentBytes());
  }, 50);
  const since = performance.now();
  for (let done = 0; done < restarts; done += 1) {
    // Spread over the requests, so that there is load before, during and after each.
    while (load.sent < (requests * (done + 0.5)) / restarts) await delay(5);
    const begin = performance.now();
    const { failed } = await client.restart(['api']);
    if (failed.length > 0) throw new Error(`not restarted: ${failed.join(', ')}`);
    times.push(performance.now() - begin);
  }
  while (load.sent < requests) await delay(5);
  const told = await load.stop();
  const seconds = (performance.now() - since) / 1000;
  clearInterval(watch);
  client.close();
  const stopped = await system.cli('infra', 'services', 'stop');
  await until('the supervisor is gone', async () => (await system.footprint()).sockets.length === 0);
  const left = await system.footprint();
  const clean = stopped.code === 0 && JSON.stringify(left) === JSON.stringify(noFootprint);
  const failures = [...told.failures.values()].reduce((sum, count) => sum + count, 0);
  const result = {
    mode: values.close ? 'one connection a request' : 'kept connections',
    workers: Number(values.workers),
    clients: Number(values.clients),
    requests: told.ok + failures,
    perSecond: Math.round((told.ok + failures) / seconds),
    failures: Object.fromEntries(told.failures),
    restarts: times.length,
    runs: told.runs.size,
    handOverMs: { median: percentile(times, 0.5), worst: percentile(times, 1) },
    latencyMs: {
      p50: percentile(told.latencies, 0.5),
      p99: percentile(told.latencies, 0.99),
      worst: percentile(told.latencies, 1),
    },
    residentMb: { before: megabytes(idle), peak: megabytes(peak) },
    clean,
  };
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  process.exitCode = failures === 0 && clean ? 0 : 1;
} finally {
  await system.kill();
  await system.remove();
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round((sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0) * 10) / 10;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
