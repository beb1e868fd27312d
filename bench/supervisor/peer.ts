import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** One of the supervisors that are compared. Every service is bench/supervisor/service.mjs on a port of its own. */
export interface Peer {
  readonly name: string;
  /** Runs its start command over so many services; what it gives is the time that the command took, in ms. */
  start(count: number): Promise<number>;
  /** Its own processes, without the services. */
  pids(): Promise<number[]>;
  stop(): Promise<void>;
}

/** Answers of a port, once; `undefined` when there is none. */
export function health(port: number, agent?: Agent, path = '/healthz'): Promise<{ pid: number } | undefined> {
  return new Promise((resolve) => {
    const sent = get({ host: '127.0.0.1', port, path, agent: agent ?? false, timeout: 5_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () =>
        resolve(response.statusCode === 200 ? (JSON.parse(body) as { pid: number }) : undefined),
      );
      response.on('error', () => resolve(undefined));
    });
    sent.on('timeout', () => sent.destroy()).on('error', () => resolve(undefined));
  });
}

/** Waits until each port answers with 200, looking at one at a time so that looking costs next to nothing. */
export async function allReady(ports: readonly number[]): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (const port of ports) {
    while ((await health(port)) === undefined) {
      if (performance.now() > deadline) throw new Error(`port ${port} does not answer`);
      await delay(3);
    }
  }
}

/** Runs a command to its end. @returns how long it took, in ms */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const since = performance.now();
  const child = spawn(process.execPath, [...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = collect(child);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${said()}`);
  return performance.now() - since;
}

function collect(child: ChildProcess): () => string {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  return () => text.slice(-2_000);
}

/** What processes have used of the CPU since they began, in ms: of all their threads, from the scheduler. */
export function cpuMs(pids: readonly number[]): number {
  const ns = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((task) =>
      Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
    ),
  );
  return ns.reduce((sum, each) => sum + each, 0) / 1e6;
}

/** Resident memory, and the share of it that is theirs alone (shared pages divided among those who map them), in MB. */
export function memoryMb(pids: readonly number[]): { rss: number; pss: number } {
  const sum = (field: string) =>
    pids.reduce((total, pid) => {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      return total + Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]);
    }, 0);
  return { rss: tenth(sum('Rss') / 1_024), pss: tenth(sum('Pss') / 1_024) };
}

export const tenth = (value: number): number => Math.round(value * 10) / 10;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
