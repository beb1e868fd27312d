import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { SupervisorClient } from '../src/lib/app/supervisor/client.ts';
import type { InstanceStatus } from '../src/lib/app/supervisor/status.ts';
import { startSystem } from '../test/helpers/running-system.ts';

/*
 * How long a start takes until every service is ready, and what the processes hold in memory after it: a first start of
 * an empty instance, then later ones, each from the command line to its exit. Usage: node bench/footprint.ts
 */

const laterStarts = 5;
const bars = { laterStartMs: 3_000, supervisorRssMb: 90, apiRssMb: 130 };

const rssMb = (pid: number): number => {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kb) / 102.4) / 10;
};
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

async function statusOf(socket: string): Promise<InstanceStatus> {
  const client = await SupervisorClient.connect(socket);
  try {
    return await client.status();
  } finally {
    client.close();
  }
}

const begun = performance.now();
const system = await startSystem();
const firstStartMs = Math.round(performance.now() - begun);
try {
  const later: number[] = [];
  const supervisor: number[] = [];
  const api: number[] = [];
  const mcp: number[] = [];
  for (let round = 0; round < laterStarts; round += 1) {
    await system.run('infra', 'services', 'stop');
    const start = performance.now();
    const { code, stderr } = await system.run('infra', 'services', 'start');
    if (code !== 0) throw new Error(`start failed with ${code}: ${stderr}`);
    later.push(Math.round(performance.now() - start));
    // A sign-in loads what the supervisor needs for it; it belongs to its size.
    await system.token('--server', 'systemprompt');
    const status = await statusOf(system.instance.controlSocket);
    const pid = (name: string) => status.services.find((service) => service.name === name)?.pid ?? 0;
    supervisor.push(rssMb(status.supervisor.pid));
    api.push(rssMb(pid('api')));
    mcp.push(rssMb(pid('mcp:systemprompt')));
  }
  const results = {
    bench: 'footprint',
    date: new Date().toISOString().slice(0, 10),
    method: `first start of an empty instance (already built), then ${laterStarts} stops and starts; wall time of the start command; resident memory after each start and one sign-in, medians`,
    machine: {
      cpu: cpus()[0]?.model.trim(),
      cpus: cpus().length,
      memoryGb: Math.round(totalmem() / 1e9),
      platform: `${process.platform}-${process.arch}`,
      node: process.version,
    },
    bars,
    firstStartMs,
    laterStartMs: { median: median(later), max: Math.max(...later) },
    rssMb: { supervisor: median(supervisor), api: median(api), mcp: median(mcp) },
  };
  console.table([{ firstStartMs, laterStartMs: median(later), ...results.rssMb }]);
  await mkdir(join(import.meta.dirname, 'results'), { recursive: true });
  await writeFile(join(import.meta.dirname, 'results/footprint.json'), `${JSON.stringify(results, null, 2)}\n`);
} finally {
  await system[Symbol.asyncDispose]();
}
