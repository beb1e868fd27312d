import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import type { CliRun } from '../helpers/cli.ts';
import { until } from '../helpers/until.ts';
import type { FaultKind, PlannedFault } from './plan.ts';
import { type SoakSystem, servers, signal } from './system.ts';

/** What was done. */
export interface Injected {
  /** In words, with the process or service that was meant. */
  readonly what: string;
  /** When the system could begin to recover, on the monotonic clock. */
  readonly since: number;
  /** The service's process that was killed: as long as it is on record, nothing has been noticed yet. */
  readonly victim?: number;
}

type Inject = (system: SoakSystem, fault: PlannedFault) => Promise<Injected>;

const now = (what: string): Injected => ({ what, since: performance.now() });
const choose = <T>(list: readonly T[], pick: number): T | undefined => list[Math.floor(pick * list.length)];
const mcpOf = (pick: number): string => `mcp:${choose(servers, pick) ?? 'alpha'}`;
const anyOf = (pick: number): string => choose(['api', ...servers.map((name) => `mcp:${name}`)], pick) ?? 'api';

async function pidOf(system: SoakSystem, name: string): Promise<number | undefined> {
  return (await system.service(name))?.pid;
}

const killService =
  (name: (pick: number) => string): Inject =>
  async (system, { pick }) => {
    const target = name(pick);
    const pid = await pidOf(system, target);
    if (pid === undefined || !signal(pid, 'SIGKILL')) return now(`${target}: it was down already`);
    return { ...now(`${target}, process ${pid}`), victim: pid };
  };

/** A stranger gets the port in the moment in which its owner dies, keeps it for a while, and leaves. */
async function steal(system: SoakSystem, name: string, holdMs: number): Promise<Injected> {
  const service = await system.service(name);
  if (service?.pid === undefined || service.port === undefined) return now(`${name}: it was down already`);
  const program = fileURLToPath(new URL('thief.mjs', import.meta.url));
  const thief = spawn(process.execPath, [program, String(service.port)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(thief, 'exit');
  const held = once(thief.stdout, 'data').then(() => true);
  // It tries every two milliseconds; its start must not be what decides.
  await delay(150);
  signal(service.pid, 'SIGKILL');
  const killedAt = performance.now();
  const got = await Promise.race([held, delay(3_000, false)]);
  const leave = async (): Promise<void> => {
    if (got) await delay(holdMs);
    thief.stdin.end();
    await ended;
  };
  const how = got ? ` held for ${holdMs} ms` : ': the service was faster';
  const done = { what: `${name}, port ${service.port}${how}`, victim: service.pid };
  // A service that may move recovers beside the thief; a fixed port has to be waited for.
  if (name !== 'api') {
    void leave();
    return { ...done, since: killedAt };
  }
  await leave();
  return { ...done, since: performance.now() };
}

const orderOnly =
  (...argv: ((pick: number) => string)[]): Inject =>
  async (system, { pick }) => {
    const words = argv.map((word) => word(pick));
    const since = performance.now();
    return { what: told(words, await system.cli('infra', 'services', ...words)), since };
  };

const word = (text: string) => () => text;

function told(words: readonly string[], { code, stderr, stdout }: CliRun): string {
  const why =
    code === 0 ? '' : ` (${(stderr.trim() || stdout.trim()).split('\n').slice(0, 2).join(' · ').slice(0, 160)})`;
  return `${words.join(' ')}: exit ${code}${why}`;
}

export const inject: Readonly<Record<FaultKind, Inject>> = {
  'kill-api': killService(word('api')),
  'kill-mcp': killService(mcpOf),
  'kill-database': killService(word('database')),

  /** One of the database's own processes: the postmaster ends all the others and recovers. */
  async 'kill-backend'(system, { pick }) {
    const postmaster = await pidOf(system, 'database');
    const pid = choose(postmaster === undefined ? [] : childrenOf(postmaster), pick);
    return now(signal(pid, 'SIGKILL') ? `process ${pid} of the database` : 'the database was down already');
  },

  async 'kill-grandchild'(system, { pick }) {
    const marked = await markedProcesses(system.instance.id);
    const leaders = new Set((await system.status())?.services.map(({ pid }) => pid));
    const found = marked.filter(({ identity, service }) => service.startsWith('mcp:') && !leaders.has(identity.pid));
    const target = choose(found, pick);
    return now(
      signal(target?.identity.pid, 'SIGKILL')
        ? `process ${target?.identity.pid} of ${target?.service}`
        : 'there was none',
    );
  },

  async 'kill-supervisor'(system, { pick, holdMs }) {
    const [pid] = await system.supervisors();
    signal(pid, 'SIGKILL');
    if (pick > 0.5) await delay(holdMs);
    const since = performance.now();
    return { what: `process ${pid}; ${told(['start'], await system.cli('infra', 'services', 'start'))}`, since };
  },

  async 'pause-service'(system, { pick, holdMs }) {
    const target = choose(['database', 'api', 'mcp:alpha', 'mcp:beta'], pick) ?? 'api';
    const pid = await pidOf(system, target);
    signal(pid, 'SIGSTOP');
    await delay(holdMs);
    signal(pid, 'SIGCONT');
    return now(`${target}, process ${pid}, for ${holdMs} ms`);
  },

  /** Nobody wakes it: the supervisor must notice, and replace it. */
  async 'freeze-service'(system, { pick }) {
    const target = anyOf(pick);
    const pid = await pidOf(system, target);
    const since = performance.now();
    if (!signal(pid, 'SIGSTOP')) return now(`${target}: it was down already`);
    await until(`${target} is replaced`, async () => (await pidOf(system, target)) !== pid, 90_000);
    return { what: `${target}, process ${pid}, for good`, since };
  },

  async 'pause-supervisor'(system, { holdMs }) {
    const [pid] = await system.supervisors();
    signal(pid, 'SIGSTOP');
    await delay(holdMs);
    signal(pid, 'SIGCONT');
    return now(`process ${pid}, for ${holdMs} ms`);
  },

  'steal-port-api': (system, { holdMs }) => steal(system, 'api', holdMs),
  'steal-port-mcp': (system, { holdMs, pick }) => steal(system, mcpOf(pick), holdMs),
  'restart-database': orderOnly(word('restart'), word('database')),
  'restart-api': orderOnly(word('restart'), word('api')),
  'restart-mcp': orderOnly(word('restart'), mcpOf),

  /** Orders that contradict each other, at once; the last word is a start. */
  async 'stop-start-race'(system, { pick }) {
    const target = anyOf(pick);
    const orders = ['stop', 'start', 'restart', 'stop', 'restart'].slice(0, 2 + (Math.floor(pick * 30) % 4));
    const runs = orders.map(async (order, index) => {
      await delay(index * 40);
      return system.cli('infra', 'services', order, target);
    });
    const codes = (await Promise.all(runs)).map(({ code }) => code);
    const since = performance.now();
    const last = told(['start', target], await system.cli('infra', 'services', 'start', target));
    return { what: `${target}: ${orders.join(', ')} (exits ${codes.join(', ')}); ${last}`, since };
  },

  /** Two starts at once over a dead supervisor: one of them must win, and only one. */
  async 'start-race'(system) {
    const [pid] = await system.supervisors();
    signal(pid, 'SIGKILL');
    const since = performance.now();
    const runs = await Promise.all([0, 1].map(() => system.cli('infra', 'services', 'start')));
    return { what: `over process ${pid}: ${runs.map((run) => told(['start'], run)).join('; ')}`, since };
  },
};

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return []; // it ended meanwhile
  }
}
