import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { mcpAudience } from '../../src/lib/app/identity.ts';
import { connectionFor } from '../../src/lib/infra/database/connections.ts';
import type { ApiRig } from '../../test/helpers/api-rig.ts';
import { cpuMs } from '../supervisor/peer.ts';
import { type LoadOptions, type LoadResult, load, round } from './load.ts';

/** What is measured: an address, and how it is asked. */
export interface Target<Name extends string = string> {
  readonly name: Name;
  readonly port: number;
  readonly path: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly each?: LoadOptions['each'];
  /** The processes that do the work, without the load generator: what they use of the CPU is measured. */
  readonly pids?: () => readonly number[];
  /** Waits until it has nothing to do any more, so that the next one is not disturbed. */
  readonly settled?: () => Promise<unknown>;
}

/** @param cpuUs CPU time of a call in all of the target's processes, where they are told */
export type Measured = LoadResult & { readonly cpuUs?: number };

export interface Timing {
  readonly rounds: number;
  readonly durationMs: number;
  readonly warmUpMs: number;
}

/** A call of the tool `echo`. */
export const echoCall = callBody(1);

function callBody(id: number): string {
  const params = { name: 'echo', arguments: { text: 'hello' } };
  return JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
}

/** Bodies of which no two have the same id: connections that share a session must not. */
export function ownIds(): () => { readonly body: string } {
  let last = 0;
  return () => {
    last += 1;
    return { body: callBody(last) };
  };
}

export const legacyHeaders = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25',
} as const;

/** One load of one target. @throws when a call failed */
export async function measure(
  { name, port, path, token, headers, each, pids, settled }: Target,
  connections: number,
  { durationMs, warmUpMs }: Pick<Timing, 'durationMs' | 'warmUpMs'>,
): Promise<Measured> {
  const working = pids?.() ?? [];
  const [since, before] = [performance.now(), cpuMs(working)];
  const result = await load({
    port,
    path,
    headers: { ...legacyHeaders, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    body: echoCall,
    ...(each === undefined ? {} : { each }),
    connections,
    warmUpMs,
    durationMs,
  });
  if (result.errors > 0 || result.calls === 0)
    throw new Error(`${name}: ${result.errors} errors, ${result.calls} calls`);
  const share = (cpuMs(working) - before) / (performance.now() - since);
  await settled?.();
  if (working.length === 0) return result;
  return { ...result, cpuUs: Math.round((share * 1e6) / result.callsPerSecond) };
}

/**
 * Each target in turn, round after round, so that what else the machine does falls on all of them.
 * @returns the results of each target, round by round
 */
export async function inTurn<Name extends string>(
  targets: readonly Target<Name>[],
  connections: number,
  timing: Timing,
): Promise<Record<Name, Measured[]>> {
  const results = Object.fromEntries(targets.map(({ name }) => [name, [] as Measured[]])) as Record<Name, Measured[]>;
  for (let index = 0; index < timing.rounds; index += 1) {
    for (const target of targets) results[target.name].push(await measure(target, connections, timing));
  }
  return results;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The round in the middle by calls per second. */
export function typical(results: readonly Measured[]): Measured {
  const middle = median(results.map(({ callsPerSecond }) => callsPerSecond));
  return results.find(({ callsPerSecond }) => callsPerSecond === middle) as Measured;
}

/** Median of what one has of the calls per second of another, compared within each round. */
export function shareOf(ours: readonly LoadResult[], other: readonly LoadResult[]): number {
  const shares = ours.map(({ callsPerSecond }, index) => callsPerSecond / (other[index]?.callsPerSecond ?? Number.NaN));
  return round(median(shares), 2);
}

/** Median of the median time that one takes longer than another, within each round, in ms. */
export function addedTo(ours: readonly LoadResult[], other: readonly LoadResult[]): number {
  return round(median(ours.map(({ p50 }, index) => p50 - (other[index]?.p50 ?? Number.NaN))));
}

/** Programs of this folder that run beside what is measured. */
export class Programs {
  readonly #children: ChildProcess[] = [];

  /** Starts one, which prints its port. */
  async start(file: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = process.env): Promise<number> {
    const child = spawn(process.execPath, [join(import.meta.dirname, file), ...args], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return Number(String(line));
  }

  /** The floor before a backend of a server, with the rig's database and keys. */
  async floor(rig: ApiRig, server: string, backend: number): Promise<number> {
    const { instance, secrets } = rig.embedded;
    const { host, port, database, user, password } = await connectionFor(instance, rig.profile, secrets, 'owner');
    const config = {
      database: { host, port, database, user, password },
      jwks: rig.identity.verifier.jwks,
      audience: mcpAudience(rig.profile.server.external_url, server),
      backend,
    };
    return await this.start('floor.ts', [], { ...process.env, FLOOR_CONFIG: JSON.stringify(config) });
  }

  end(): void {
    for (const child of this.#children) {
      child.stdin?.end();
      child.kill();
    }
  }
}

/** Processes with all that they have started. */
export function trees(roots: readonly number[]): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!(pid > 0)) continue;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has ended meanwhile.
    }
  }
  const wanted = new Set(roots);
  let before = -1;
  while (before !== wanted.size) {
    before = wanted.size;
    for (const [pid, parent] of parents) if (wanted.has(parent)) wanted.add(pid);
  }
  return [...wanted].filter((pid) => parents.has(pid));
}

export function rssMb(pid: number | undefined): number {
  const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return round(Number(kb) / 1_024, 1);
}

/** Begins a session of the revision 2025-11-25. @returns its id */
export async function beginSession(url: string, token?: string): Promise<string> {
  const headers = { ...legacyHeaders, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1.0.0' } };
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
  });
  const text = await response.text();
  const session = response.headers.get('mcp-session-id');
  if (session === null) throw new Error(`${url}: no session: ${response.status} ${text}`);
  const initialized = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'mcp-session-id': session },
    body: '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  });
  await initialized.text();
  return session;
}

/** Of the last minute, before anything of this began: what else the machine was doing. */
const loadBefore = round(loadavg()[0] ?? 0, 1);

export function machine() {
  return {
    cpu: cpus()[0]?.model.trim(),
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    loadAverageBefore: loadBefore,
    node: process.version,
  };
}

/** @returns whether it holds, and says so on standard output */
export function judged(bar: string, ratio: number, holds: boolean) {
  process.stdout.write(`${holds ? 'met   ' : 'MISSED'} ${bar}: ${ratio}\n`);
  return { bar, ratio, met: holds };
}

/** Writes `bench/results/<name>.json`. */
export async function record(name: string, results: object): Promise<void> {
  const folder = join(import.meta.dirname, '../results');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify(results, null, 2)}\n`);
}
