import type { ServiceInstanceId } from '../../shared/ids.ts';
import {
  bootId,
  hasCode,
  isLiving,
  linuxInfo,
  type ProcessIdentity,
  type ProcessInfo,
  processInfo,
} from './identity.ts';
import { lookAtMark } from './marker.ts';
import { linuxPids, listProcesses } from './table.ts';

/** What is to end: a group by its leader, and the run whose marker proves that a leaderless group is ours. */
export interface TerminationTarget {
  readonly identity: ProcessIdentity;
  readonly installationId: string;
  readonly instanceId: ServiceInstanceId;
}

/** A thing to signal: a group by its number, or one process. `pids` are those of it that were seen to live. */
export interface Aim {
  readonly pid: number;
  readonly wholeGroup: boolean;
  readonly pids: readonly number[];
}

/** What one look found: what is ours, and the processes of which it can't be said yet. */
export interface Sight {
  readonly aims: readonly Aim[];
  readonly undecided: readonly number[];
}

type Whose = 'ours' | 'other' | 'undecided';
type Seen = readonly [info: ProcessInfo, whose: Whose];

/** Rounds in which a look follows what was forked during the round before. */
const followRounds = 5;
/** How long a stranger is remembered, in ms: no pid comes round again so soon. */
const strangerMs = 1_000;

/**
 * Finds the processes of one run, without ever taking a stranger for one. Whoever was proven ours once is known from then
 * on by pid and start time, whatever becomes of its group, its session and its environment.
 */
export class RunProcesses {
  readonly #target: TerminationTarget;
  readonly #known = new Map<number, string>();
  /** Who was found to be nobody of ours: a stranger never becomes one, so the next look need not read it again. */
  #strangers = new Map<number, Seen>();
  #strangersSince = 0;

  constructor(target: TerminationTarget) {
    this.#target = target;
  }

  /** The group while it is provably ours: led by that very process, or leaderless with a member that is ours. */
  async group(): Promise<Sight> {
    const { pid, startTicks, bootId: boot } = this.#target.identity;
    const leader = boot === (await bootId()) ? await processInfo(pid) : undefined;
    const led = leader !== undefined && leader.startTicks === startTicks;
    // The kernel gives nobody the number of a group that still has members: with a new owner, the old group has ended.
    if (boot !== (await bootId()) || (leader !== undefined && !led)) return sight([]);
    if (led && leader.group !== pid) return sight(isLiving(leader) ? [{ pid, wholeGroup: false, pids: [pid] }] : []);
    if (!groupExists(pid)) return sight([]);
    if (led && isLiving(leader) && this.#known.size > 0) return sight([{ pid, wholeGroup: true, pids: [pid] }]);
    // Led, be it by a zombie, the number is still the old group's; without a leader one member that is ours proves all.
    const seen = await this.#look(async (info) => (info.group !== pid ? 'other' : led ? 'ours' : this.#whose(info)));
    const members = seen.filter(([info]) => info.group === pid);
    if (!members.some(([, whose]) => whose === 'ours')) return sight([], members);
    this.#remember(members);
    return sight([{ pid, wholeGroup: true, pids: members.map(([info]) => info.pid) }]);
  }

  /** Processes of the run wherever they are: daemons that called setsid(2). By their group where no stranger is in it. */
  async escaped(): Promise<Sight> {
    if (performance.now() - this.#strangersSince > strangerMs) {
      this.#strangers = new Map();
      this.#strangersSince = performance.now();
    }
    const judge = async (info: ProcessInfo) => (this.#isStranger(info) ? 'other' : this.#whose(info));
    const seen = await this.#look(judge, this.#strangers);
    for (const one of seen) if (one[1] === 'other') this.#strangers.set(one[0].pid, one);
    const ours = seen.filter(([, whose]) => whose === 'ours');
    this.#remember(ours);
    const shared = new Set(seen.filter(([, whose]) => whose === 'other').map(([{ group }]) => group));
    const groups = Map.groupBy(ours, ([{ group, pid }]) => (shared.has(group) ? -pid : group));
    const aims = [...groups].map(([group, found]) => ({
      pid: Math.abs(group),
      wholeGroup: group > 0,
      pids: found.map(([info]) => info.pid),
    }));
    return sight(aims, seen);
  }

  async #whose(info: ProcessInfo): Promise<Whose> {
    if (this.#known.get(info.pid) === info.startTicks) return 'ours';
    const mark = await lookAtMark(info.pid);
    if (mark === 'undecided') return mark;
    // It ended between the two looks, maybe after a fork.
    if (mark === undefined && process.platform === 'linux' && linuxInfo(info.pid) === undefined) return 'undecided';
    const { installationId, instanceId } = this.#target;
    return mark?.installationId === installationId && mark.instanceId === instanceId ? 'ours' : 'other';
  }

  /** Ourselves, threads of the kernel, and on Linux, whose ticks can be compared, what began before the run's leader. */
  #isStranger({ pid, group, startTicks }: ProcessInfo): boolean {
    const since = process.platform === 'linux' ? this.#target.identity.startTicks : '';
    return pid === process.pid || group === 0 || (since !== '' && Number(startTicks) < Number(since));
  }

  #remember(seen: readonly Seen[]): void {
    for (const [info] of seen) this.#known.set(info.pid, info.startTicks);
  }

  /**
   * Every living process, each judged as soon as it is seen, and then those that were forked meanwhile: a list of /proc is
   * no snapshot, and what lives on in a child of its own again and again could be missed by any number of them.
   * @param before judged already, and not looked at again
   */
  async #look(
    judge: (info: ProcessInfo) => Promise<Whose>,
    before: ReadonlyMap<number, Seen> = new Map(),
  ): Promise<Seen[]> {
    const seen: Seen[] = [];
    if (process.platform !== 'linux') {
      for (const info of await listProcesses()) seen.push([info, await judge(info)]);
      return seen;
    }
    const looked = new Set<number>();
    for (let round = 0; round < followRounds; round += 1) {
      const fresh = linuxPids().filter((pid) => !looked.has(pid));
      if (fresh.length === 0) break;
      for (const pid of fresh) {
        looked.add(pid);
        const judged = before.get(pid);
        if (judged !== undefined) {
          seen.push(judged);
          continue;
        }
        const info = linuxInfo(pid);
        if (info !== undefined && isLiving(info)) seen.push([info, await judge(info)]);
      }
    }
    return seen;
  }
}

function sight(aims: readonly Aim[], seen: readonly Seen[] = []): Sight {
  return { aims, undecided: seen.filter(([, whose]) => whose === 'undecided').map(([info]) => info.pid) };
}

/** Whether a group has members, zombies included (kill(2) with signal 0): needs no list that could miss one. */
function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    if (hasCode(error, 'EPERM')) return true;
    if (hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}
