import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isPortFree } from '../../src/lib/infra/process/ports.ts';
import { freeBlock } from '../../test/helpers/free-port.ts';
import { until } from '../../test/helpers/until.ts';
import { type UnderLoad, underLoad } from './load.ts';
import { Own } from './own.ts';
import { allReady, cpuMs, health, median, memoryMb, type Peer, tenth } from './peer.ts';
import { Pm2, pm2Version } from './pm2.ts';
import { measureProduct } from './product.ts';

/*
 * The supervisor against pm2, in one run on one machine, over the same service program: starts, idling, recovery,
 * restarts under load. Usage: node bench/supervisor/run.ts [--quick] [--only start,idle,recovery,load,product]
 * --quick takes single rounds and writes no result.
 */

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
});
const { quick } = values;
const wanted = (part: string): boolean => values.only === '' || values.only.split(',').includes(part);
const counts = [1, 10, 50];
const rounds = quick ? 1 : 5;
const idleMs = quick ? 5_000 : 20_000;
const settleMs = quick ? 2_000 : 5_000;
const kills = quick ? 3 : 12;
const restarts = quick ? 2 : 5;
const program = join(import.meta.dirname, 'service.mjs');
/** Of the last minute, before anything of this began: what else the machine was doing. */
const loadBefore = tenth(loadavg()[0] ?? 0);

const gone = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => gone.abort(new Error(signal)));

const [first, last] = await freeBlock(Math.max(...counts));
const ports = Array.from({ length: last - first + 1 }, (_, index) => first + index);

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** From the start command to the moment in which every port answers with 200. */
async function startMs(peer: Peer, count: number): Promise<{ readyMs: number; commandMs: number }> {
  gone.signal.throwIfAborted();
  const since = performance.now();
  const command = peer.start(count);
  const ready = allReady(ports.slice(0, count)).then(() => performance.now() - since);
  const [commandMs, readyMs] = await Promise.all([command, ready]);
  return { readyMs: Math.round(readyMs), commandMs: Math.round(commandMs) };
}

async function freed(): Promise<void> {
  await until('all ports are free', async () => (await Promise.all(ports.map(isPortFree))).every(Boolean), 30_000);
}

/** Starts in turn, so that what else the machine does falls on all of them. */
async function starts(own: Own, pm2: Pm2) {
  const rows = [];
  for (const count of counts) {
    const of: Record<'own' | 'ownWithDatabase' | 'pm2', { readyMs: number; commandMs: number }[]> = {
      own: [],
      ownWithDatabase: [],
      pm2: [],
    };
    // A start of fifty takes its time, and varies less.
    for (let round = 0; round < (count < 50 ? rounds : Math.min(3, rounds)); round += 1) {
      for (const name of ['own', 'pm2', 'ownWithDatabase'] as const) {
        const peer = name === 'pm2' ? pm2 : own;
        own.embedded = name === 'ownWithDatabase';
        of[name].push(await startMs(peer, count));
        await peer.stop();
        await freed();
      }
    }
    own.embedded = false;
    const figures = (list: readonly { readyMs: number; commandMs: number }[]) => ({
      readyMs: median(list.map(({ readyMs }) => readyMs)),
      commandMs: median(list.map(({ commandMs }) => commandMs)),
      all: list.map(({ readyMs }) => readyMs),
    });
    const row = {
      services: count,
      own: figures(of.own),
      ownWithDatabase: figures(of.ownWithDatabase),
      pm2: figures(of.pm2),
      ratio: Math.round((median(of.own.map((r) => r.readyMs)) / median(of.pm2.map((r) => r.readyMs))) * 100) / 100,
    };
    rows.push(row);
    say(JSON.stringify({ start: row }));
  }
  return rows;
}

/** What the supervisor itself uses while its services do nothing. */
async function idle(peer: Peer, own?: Own) {
  await startMs(peer, 50);
  await delay(settleMs, undefined, { signal: gone.signal });
  const pids = await peer.pids();
  const database = own?.postgresPids() ?? [];
  const [before, databaseBefore, since] = [cpuMs(pids), cpuMs(database), performance.now()];
  await delay(idleMs, undefined, { signal: gone.signal });
  const passed = performance.now() - since;
  const share = (ms: number) => Math.round((ms / passed) * 100_000) / 1_000;
  const result = {
    processes: pids.length,
    cpuPercent: share(cpuMs(pids) - before),
    ...memoryMb(pids),
    ...(own === undefined ? {} : { postgresCpuPercent: share(cpuMs(own.postgresPids()) - databaseBefore) }),
  };
  await peer.stop();
  await freed();
  say(JSON.stringify({ idle: peer.name, ...result }));
  return result;
}

async function idles(own: Own, pm2: Pm2) {
  const asked = await idle(own, own);
  own.checks = false;
  const unasked = await idle(own, own);
  own.checks = true;
  return { own: asked, ownWithoutChecks: unasked, pm2: await idle(pm2) };
}

/**
 * From the SIGKILL of a service to the first answer of the next process; a service each time, since systemprompt pauses
 * before it starts one again that falls twice within a minute.
 */
async function recovery(peer: Peer): Promise<{ medianMs: number; maxMs: number; all: number[] }> {
  await startMs(peer, kills);
  const all: number[] = [];
  for (let count = 0; count < kills; count += 1) {
    // Longer than pm2's min_uptime, so that it counts no restart as unstable.
    await delay(1_500, undefined, { signal: gone.signal });
    const port = ports[count] ?? 0;
    const pid = (await health(port))?.pid ?? 0;
    const since = performance.now();
    process.kill(pid, 'SIGKILL');
    for (;;) {
      const answer = await health(port);
      if (answer !== undefined && answer.pid !== pid) break;
      if (performance.now() - since > 60_000) throw new Error(`${peer.name}: port ${port} does not come back`);
      await delay(1);
    }
    all.push(Math.round(performance.now() - since));
  }
  await peer.stop();
  await freed();
  const result = { medianMs: median(all), maxMs: Math.max(...all), all };
  say(JSON.stringify({ recovery: peer.name, ...result }));
  return result;
}

async function load(own: Own, pm2: Pm2) {
  const results: Record<string, UnderLoad> = {};
  const measure = async (name: string, peer: Peer, restart: () => Promise<unknown>): Promise<void> => {
    await startMs(peer, 1);
    const { orders, ...rest } = await underLoad(ports[0] ?? 0, restarts, restart);
    results[name] = { ...rest, orderMs: Math.round(median(orders)) };
    say(JSON.stringify({ load: name, ...results[name] }));
    await peer.stop();
    await freed();
  };
  own.kind = 'api';
  await measure('systemprompt restart (hand-over)', own, () => own.restart('s0'));
  own.kind = 'mcp';
  for (const [mode, instances] of [
    ['fork', 1],
    ['cluster', 1],
    ['cluster', 2],
  ] as const) {
    pm2.mode = mode;
    pm2.instances = instances;
    const of = `${mode}, ${instances} ${instances === 1 ? 'process' : 'processes'}`;
    await measure(`pm2 restart (${of})`, pm2, () => pm2.restart('s0'));
    await measure(`pm2 reload (${of})`, pm2, () => pm2.reload('s0'));
  }
  pm2.mode = 'fork';
  pm2.instances = 1;
  return results;
}

async function both<T>(own: Own, pm2: Pm2, measure: (peer: Peer) => Promise<T>): Promise<{ own: T; pm2: T }> {
  return { own: await measure(own), pm2: await measure(pm2) };
}

const own = await Own.create(program, ports);
const pm2 = await Pm2.create(program, ports).catch(async (error: unknown) => {
  await own.remove();
  throw error;
});
try {
  const results = {
    bench: 'supervisor',
    date: new Date().toISOString().slice(0, 10),
    pm2: pm2Version,
    machine: {
      cpu: cpus()[0]?.model.trim(),
      cpus: cpus().length,
      memoryGb: Math.round(totalmem() / 1e9),
      loadAverageBefore: loadBefore,
      node: process.version,
    },
    rounds,
    kills,
    idleSeconds: idleMs / 1000,
    ...(wanted('start') ? { starts: await starts(own, pm2) } : {}),
    ...(wanted('idle') ? { idle: await idles(own, pm2) } : {}),
    ...(wanted('recovery') ? { recovery: await both(own, pm2, recovery) } : {}),
    ...(wanted('load') ? { underLoad: await load(own, pm2) } : {}),
    ...(wanted('product') ? { product: await measureProduct(quick) } : {}),
  };
  if (!quick && values.only === '') {
    const folder = join(import.meta.dirname, '../results');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'supervisor.json'), `${JSON.stringify(results, null, 2)}\n`);
  }
} finally {
  await pm2.remove();
  await own.remove();
}
process.exit(0);
