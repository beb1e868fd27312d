import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { mcpAudience } from '../../src/lib/app/identity.ts';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { connectionFor } from '../../src/lib/infra/database/connections.ts';
import { ApiRig } from '../../test/helpers/api-rig.ts';
import { type LoadResult, load, round } from './load.ts';
import { measureSteps } from './steps.ts';

/*
 * The router against calling the same backend directly, and against a floor (token and two commits, nothing else), all
 * in one run. Usage: node bench/mcp-router/run.ts [--quick] [--only bare|sdk] [--cpu-prof <folder>]
 */

const args = process.argv.slice(2);
const quick = args.includes('--quick');
const only = args[args.indexOf('--only') + 1];
const profileTo = args.includes('--cpu-prof') ? args[args.indexOf('--cpu-prof') + 1] : undefined;
const rounds = quick ? 1 : 7;
const durationMs = quick ? 2_000 : 2_500;
const warmUpMs = 500;
const body = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'echo', arguments: { text: 'hello' } },
});

interface Target {
  readonly name: 'direct' | 'floor' | 'ours';
  readonly port: number;
  readonly path: string;
  readonly token?: string;
}

const children: ChildProcess[] = [];
/** Of the last minute, before anything of this began: what else the machine was doing. */
const loadBefore = round(loadavg()[0] ?? 0, 1);

/** Starts a program of this folder, which prints its port. */
async function program(file: string, env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return Number(String(line));
}

async function measure(target: Target, connections: number): Promise<LoadResult> {
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2025-11-25',
    ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
  };
  const result = await load({ port: target.port, path: target.path, headers, body, connections, warmUpMs, durationMs });
  if (result.errors > 0 || result.calls === 0)
    throw new Error(`${target.name}: ${result.errors} errors, ${result.calls} calls`);
  return result;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The round in the middle by calls per second. */
function typical(results: readonly LoadResult[]): LoadResult {
  const middle = median(results.map(({ callsPerSecond }) => callsPerSecond));
  return results.find(({ callsPerSecond }) => callsPerSecond === middle) as LoadResult;
}

/**
 * Each target in turn, round after round, so that what else the machine does falls on all of them. What is compared is
 * compared within a round, and of the rounds' comparisons the median counts.
 */
async function compare(targets: readonly Target[], connections: number) {
  const results: Record<Target['name'], LoadResult[]> = { direct: [], floor: [], ours: [] };
  for (let index = 0; index < rounds; index += 1) {
    for (const target of targets) results[target.name].push(await measure(target, connections));
  }
  const { direct, floor, ours } = results;
  const addedBy = (own: readonly LoadResult[]) =>
    round(median(own.map((result, index) => result.p50 - (direct[index]?.p50 ?? Number.NaN))));
  const shareOf = (other: readonly LoadResult[]) =>
    round(median(ours.map((result, index) => result.callsPerSecond / (other[index]?.callsPerSecond ?? Number.NaN))), 2);
  return {
    connections,
    direct: typical(direct),
    floor: { ...typical(floor), addedP50Ms: addedBy(floor) },
    ours: { ...typical(ours), addedP50Ms: addedBy(ours), ofFloor: shareOf(floor), ofDirect: shareOf(direct) },
  };
}

function rssMb(pid: number | undefined): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return round(Number(kb) / 1_024, 1);
}

const rig = await ApiRig.create(['bare', 'sdk'], createLocalInstance);
try {
  const backends = { bare: await program('backend-bare.ts'), sdk: await program('backend-sdk.ts') };
  for (const [name, port] of Object.entries(backends)) await rig.announce(name, port);
  const api = await rig.startApi(profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileTo}`]);
  const idleMb = rssMb(api.child.pid);
  const { instance, secrets } = rig.embedded;
  const owner = await connectionFor(instance, rig.profile, secrets, 'owner');
  const tables = [];
  for (const name of ['bare', 'sdk'] as const) {
    if (only !== undefined && args.includes('--only') && only !== name) continue;
    const token = await rig.token(name);
    const floorConfig = {
      database: {
        host: owner.host,
        port: owner.port,
        database: owner.database,
        user: owner.user,
        password: owner.password,
      },
      jwks: rig.identity.verifier.jwks,
      audience: mcpAudience(rig.profile.server.external_url, name),
      backend: backends[name],
    };
    const floorPort = await program('floor.ts', { ...process.env, FLOOR_CONFIG: JSON.stringify(floorConfig) });
    const targets: Target[] = [
      { name: 'direct', port: backends[name], path: '/mcp' },
      { name: 'floor', port: floorPort, path: '/mcp', token },
      { name: 'ours', port: rig.port, path: `/api/v1/mcp/${name}/mcp`, token },
    ];
    for (const connections of [1, 32]) tables.push({ backend: name, ...(await compare(targets, connections)) });
  }
  const token = await rig.token('bare');
  const ours: Target = { name: 'ours', port: rig.port, path: '/api/v1/mcp/bare/mcp', token };
  const memory: { calls: number; rssMb: number }[] = [];
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${token}`,
  };
  for (let step = 1; step <= (quick ? 2 : 5); step += 1) {
    await load({
      port: ours.port,
      path: ours.path,
      headers,
      body,
      connections: 16,
      warmUpMs: 0,
      durationMs: 60_000,
      maxCalls: 10_000,
    });
    memory.push({ calls: step * 10_000, rssMb: rssMb(api.child.pid) });
  }
  const steps = await measureSteps(rig, body, token, backends.bare);
  await rig.kill(api.child, 'SIGTERM');

  console.table(
    tables.flatMap(({ backend, connections, ...results }) =>
      (['direct', 'floor', 'ours'] as const).map((target) => {
        const { callsPerSecond, p50, p99, ...compared } = results[target] as LoadResult & Record<string, number>;
        const { calls: _, errors: __, connections: ___, ...more } = compared;
        return { backend, connections, target, 'calls/s': callsPerSecond, p50, p99, ...more };
      }),
    ),
  );
  console.table(steps);
  console.table([{ calls: 0, rssMb: idleMb }, ...memory]);
  const [cpu] = cpus();
  const results = {
    name: 'mcp-router',
    method: {
      what: 'tools/call through the API process (token, scopes, intent and outcome committed, signed identity) against the same backend called directly and a floor that only verifies the token and commits two rows',
      load: 'closed loop over kept-alive loopback connections from one process; everything shares the machine',
      rounds,
      durationMs,
      warmUpMs,
      chosen:
        'targets take turns; figures of the round with the median calls per second, comparisons within each round and the median of those',
      database: 'embedded PostgreSQL, fsync and synchronous_commit on',
    },
    machine: {
      cpu: cpu?.model.trim(),
      cores: cpus().length,
      memoryGb: Math.round(totalmem() / 1e9),
      loadAverageBefore: loadBefore,
      node: process.version,
    },
    bars: { addedP50MsAt1: 1.5, ofFloorAt32: 0.6, rssMbIdle: 130 },
    tables,
    steps,
    memory: { idleMb, after: memory },
  };
  if (!quick) {
    await mkdir(join(import.meta.dirname, '../results'), { recursive: true });
    await writeFile(join(import.meta.dirname, '../results/mcp-router.json'), `${JSON.stringify(results, null, 2)}\n`);
  }
} finally {
  for (const child of children) {
    child.stdin?.end();
    child.kill();
  }
  await rig.remove();
}
