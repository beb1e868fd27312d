import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import { bootId, hasCode, isAlive, type ProcessIdentity, processInfo } from './identity.ts';
import { markedProcesses, markOf } from './marker.ts';
import { listProcesses } from './table.ts';

export interface Termination {
  /** First signal; SIGCONT follows, since a stopped process would not see it (signal(7)). */
  readonly signal: NodeJS.Signals;
  /** How long to wait before SIGKILL, in ms. 0 kills at once. */
  readonly graceMs: number;
  /** How long to wait for the kernel after SIGKILL, in ms; a process in uninterruptible sleep outlives it. */
  readonly killWaitMs: number;
  /** Cuts the grace short. */
  readonly now?: AbortSignal;
}

/** `gone`: nothing was left to signal. `unkillable`: SIGKILL was sent and `survivors` still live. */
export interface TerminationResult {
  readonly outcome: 'gone' | 'stopped' | 'killed' | 'unkillable';
  readonly survivors: readonly number[];
}

/** What is to end: a group by its leader, and the run whose marker proves that a leaderless group is ours. */
export interface TerminationTarget {
  readonly identity: ProcessIdentity;
  readonly installationId: string;
  readonly instanceId: ServiceInstanceId;
}

const pollMs = 20;

/**
 * Ends a service's whole process group, and then whatever escaped from it but still carries the run's marker. Every
 * signal is preceded by a look at who has the number now; a recycled pid is never signalled.
 */
export async function terminate(target: TerminationTarget, how: Termination): Promise<TerminationResult> {
  const group = await endAll(() => groupOf(target), how);
  const escaped = await endAll(() => escapees(target), how);
  const worst = (['unkillable', 'killed', 'stopped', 'gone'] as const).find(
    (outcome) => group.outcome === outcome || escaped.outcome === outcome,
  );
  return { outcome: worst ?? 'gone', survivors: [...group.survivors, ...escaped.survivors] };
}

/** A thing to signal: a group by its number, or one process. */
interface Aim {
  readonly pid: number;
  readonly wholeGroup: boolean;
}

async function endAll(aims: () => Promise<Aim[]>, how: Termination): Promise<TerminationResult> {
  const first = await aims();
  if (first.length === 0) return { outcome: 'gone', survivors: [] };
  if (how.graceMs > 0 && how.now?.aborted !== true) {
    for (const aim of first) {
      await send(aim, how.signal);
      await send(aim, 'SIGCONT');
    }
    if (await emptyWithin(aims, how.graceMs, how.now)) return { outcome: 'stopped', survivors: [] };
  }
  for (const aim of await aims()) await send(aim, 'SIGKILL');
  if (await emptyWithin(aims, how.killWaitMs)) return { outcome: 'killed', survivors: [] };
  return { outcome: 'unkillable', survivors: (await aims()).map((aim) => aim.pid) };
}

async function emptyWithin(aims: () => Promise<Aim[]>, ms: number, now?: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + ms;
  for (;;) {
    if ((await aims()).length === 0) return true;
    if (now?.aborted === true || performance.now() >= deadline) return false;
    await delay(pollMs);
  }
}

/** The group while it is provably ours: led by that very process, or leaderless with a member that carries the run's marker. */
async function groupOf(target: TerminationTarget): Promise<Aim[]> {
  const { identity } = target;
  if (identity.bootId !== (await bootId())) return [];
  if (await isAlive(identity)) {
    const info = await processInfo(identity.pid);
    return info === undefined ? [] : [{ pid: identity.pid, wholeGroup: info.group === identity.pid }];
  }
  // The kernel gives no new process the number of a group that still has members, so members that carry the marker
  // prove that the group is the old one.
  for (const member of await listProcesses()) {
    if (member.group !== identity.pid) continue;
    const mark = await markOf(member.pid);
    if (mark?.installationId === target.installationId && mark.instanceId === target.instanceId) {
      return [{ pid: identity.pid, wholeGroup: true }];
    }
  }
  return [];
}

/** Processes with the run's marker outside its group: daemons that called setsid(2). */
async function escapees(target: TerminationTarget): Promise<Aim[]> {
  const marked = await markedProcesses(target.installationId);
  return marked
    .filter((found) => found.instanceId === target.instanceId)
    .map((found) => ({ pid: found.identity.pid, wholeGroup: false }));
}

async function send(aim: Aim, signal: NodeJS.Signals): Promise<void> {
  await guard(aim);
  try {
    process.kill(aim.wholeGroup ? -aim.pid : aim.pid, signal);
  } catch (error) {
    // EPERM: macOS answers so for a group whose leader is a zombie; whether it is gone is looked up afterwards.
    if (!hasCode(error, 'ESRCH', 'EPERM')) throw error;
  }
}

/** Never 0 (our own group), never -1 (everybody), never init, never ourselves. */
async function guard(aim: Aim): Promise<void> {
  const own = await processInfo(process.pid);
  const forbidden =
    !Number.isSafeInteger(aim.pid) ||
    aim.pid <= 1 ||
    aim.pid === process.pid ||
    (aim.wholeGroup && aim.pid === own?.group);
  if (forbidden) throw new RangeError(`refusing to signal ${aim.wholeGroup ? 'group' : 'process'} ${aim.pid}`);
}
