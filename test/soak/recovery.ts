import { setTimeout as delay } from 'node:timers/promises';
import type { InstanceStatus } from '../../src/lib/app/supervisor/status.ts';
import type { Load } from './load.ts';
import { type SoakSystem, servers } from './system.ts';
import { type Strays, strays } from './watch.ts';

export interface Recovery {
  /** From the moment in which it could begin until every service is ready and the supervisor acts. */
  readonly readyMs: number;
  /** The same, until a call to each server has come back with its result. */
  readonly servingMs: number;
  /** Orders that a person had to give, each with what it was for. */
  readonly orders: readonly string[];
}

const limitMs = 120_000;
const lookMs = 40;
/** How long a service may be down for good before the operator of this run starts it. */
const patienceMs = 1_500;
const strayLimitMs = 20_000;

/**
 * Waits until the system is whole again; starts what is down for good, as an operator would.
 * @param since when it could begin, on the monotonic clock
 * @param victims processes that were killed: while one is on record, its end has not been noticed
 * @returns undefined when it does not become whole
 */
export async function recover(
  system: SoakSystem,
  load: Load,
  since: number,
  victims: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<Recovery | undefined> {
  const deadline = performance.now() + limitMs;
  const over = (): boolean => signal.aborted || performance.now() > deadline;
  const orders: string[] = [];
  let downSince: number | undefined;
  for (;;) {
    if (over()) return undefined;
    const found = look(await system.status(), victims);
    if (found === 'whole') break;
    if (found === 'coming') downSince = undefined;
    else {
      downSince ??= performance.now();
      if (performance.now() - downSince > patienceMs) {
        orders.push(found.down);
        await system.cli('infra', 'services', 'start');
        downSince = undefined;
      }
    }
    await delay(lookMs);
  }
  const readyMs = Math.round(performance.now() - since);
  while (!(await Promise.all(servers.map((server) => load.serves(server)))).every(Boolean)) {
    if (over()) return undefined;
    await delay(lookMs);
  }
  return { readyMs, servingMs: Math.round(performance.now() - since), orders };
}

/** `coming`: it changes by itself; `down`: somebody must start it. */
function look(
  status: InstanceStatus | undefined,
  victims: ReadonlySet<number>,
): 'whole' | 'coming' | { readonly down: string } {
  if (status === undefined) return { down: 'no supervisor answered' };
  const idle = status.services.filter(({ state }) => state !== 'ready');
  const down = idle.filter(({ state }) => state === 'failed' || state === 'stopped');
  if (down.length > 0)
    return {
      down: down.map(({ name, state, lastError }) => `${name} ${state}: ${lastError ?? 'no reason'}`).join('; '),
    };
  const unnoticed = status.services.some(({ pid }) => pid !== undefined && victims.has(pid));
  const acts = status.supervisor.state === 'running' && status.supervisor.acting;
  return acts && idle.length === 0 && !unnoticed ? 'whole' : 'coming';
}

/** What is still there that should not be, after the time in which an old run may drain. */
export async function straysThatStay(system: SoakSystem, signal: AbortSignal): Promise<Strays> {
  const deadline = performance.now() + strayLimitMs;
  for (;;) {
    const found = await strays(system);
    if (found.orphans.length + found.twins.length === 0 || signal.aborted || performance.now() > deadline) return found;
    await delay(250);
  }
}
