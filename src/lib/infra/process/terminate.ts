import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, processInfo } from './identity.ts';
import { type Aim, RunProcesses, type Sight, type TerminationTarget } from './run-processes.ts';

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

/**
 * `gone`: nothing was left to signal. `unkillable`: `survivors` still live, after SIGKILL, or in the dead leader's group
 * without anything to prove whose they are.
 */
export interface TerminationResult {
  readonly outcome: 'gone' | 'stopped' | 'killed' | 'unkillable';
  readonly survivors: readonly number[];
}

const pollMs = 20;
/** How many looks in a row must find nothing before nothing counts as nothing, and how far apart they are, in ms. */
const calmLooks = 2;
const calmPauseMs = 2;
/** How long anywhere in the system a process may be without an environment before it is taken for a stranger, in ms. */
const strangerAfterMs = 300;

/**
 * Ends a service's whole process group, and then whatever escaped from it but still carries the run's marker. Every
 * signal is preceded by a look at who has the number now; a recycled pid is never signalled.
 */
export async function terminate(target: TerminationTarget, how: Termination): Promise<TerminationResult> {
  const processes = new RunProcesses(target);
  const group = await endAll((ms) => calm(() => processes.group(), ms), how.killWaitMs, how);
  const escaped = await endAll(
    async (ms) => ({ ...(await calm(() => processes.escaped(), ms)), undecided: [] }),
    strangerAfterMs,
    how,
  );
  const worst = (['unkillable', 'killed', 'stopped', 'gone'] as const).find(
    (outcome) => group.outcome === outcome || escaped.outcome === outcome,
  );
  return { outcome: worst ?? 'gone', survivors: [...new Set([...group.survivors, ...escaped.survivors])] };
}

/** Ends what `look` finds, also what it finds only later: a process may fork while it is being ended. */
async function endAll(
  look: (doubtMs: number) => Promise<Sight>,
  doubtMs: number,
  how: Termination,
): Promise<TerminationResult> {
  let met = false;
  const pursue = async (ms: number, signal: (aim: Aim) => Promise<void>, now?: AbortSignal): Promise<Sight> => {
    const deadline = performance.now() + ms;
    for (;;) {
      const left = await look(doubtMs);
      if (left.aims.length === 0) return left;
      met = true;
      for (const aim of left.aims) await signal(aim);
      if (now?.aborted === true || performance.now() >= deadline) return left;
      await delay(pollMs);
    }
  };
  let left: Sight | undefined;
  if (how.graceMs > 0 && how.now?.aborted !== true) {
    const asked = new Set<string>();
    const ask = async (aim: Aim): Promise<void> => {
      const name = `${aim.wholeGroup} ${aim.pid}`;
      if (asked.has(name)) return;
      asked.add(name);
      await send(aim, how.signal);
      await send(aim, 'SIGCONT');
    };
    left = await pursue(how.graceMs, ask, how.now);
  }
  const killed = left === undefined || left.aims.length > 0;
  if (killed) left = await pursue(how.killWaitMs, (aim) => send(aim, 'SIGKILL'));
  const survivors = [...(left?.aims.flatMap(({ pids }) => pids) ?? []), ...(left?.undecided ?? [])];
  if (survivors.length > 0) return { outcome: 'unkillable', survivors };
  return { outcome: met ? (killed ? 'killed' : 'stopped') : 'gone', survivors };
}

/** Looks until something is found, or until looks in a row have found nothing and nobody who might be ours. */
async function calm(look: () => Promise<Sight>, doubtMs: number): Promise<Sight> {
  const deadline = performance.now() + doubtMs;
  for (let empty = 0; ; ) {
    const found = await look();
    if (found.aims.length > 0) return found;
    empty = found.undecided.length === 0 ? empty + 1 : 0;
    if (empty === calmLooks || (empty === 0 && performance.now() >= deadline)) return found;
    await delay(calmPauseMs);
  }
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
