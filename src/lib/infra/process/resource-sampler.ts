import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { ProcessIdentity } from './identity.ts';
import { lookAtMark } from './marker.ts';
import { listUse, openFilesOf, type ProcessUse, privateBytes } from './process-use.ts';

/** What a run takes up: its process, its group, and whatever left the group with the run's marker. */
export interface ResourceUse {
  readonly rssBytes: number;
  /** Of one core, since the sample before. */
  readonly cpuPercent?: number;
  /** Of the leader. */
  readonly openFiles?: number;
}

interface Watched {
  readonly identity: ProcessIdentity;
  readonly instanceId: ServiceInstanceId;
  /** Whether it has a limit that is to be kept. */
  readonly limited: () => boolean;
  readonly hear: (use: ResourceUse) => void;
  cpu: ReadonlyMap<string, number>;
}

/** Without a limit to keep, it is enough to know now and then; whoever asks gets a fresh look. */
const leisure = 6;

/** Looks at all runs in one pass over the process table, again and again while there are any. It keeps no process alive. */
export class ResourceSampler {
  readonly #installationId: string;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #watched = new Set<Watched>();
  /** Runs by process, so that an environment is read once; nothing for strangers. */
  #marks = new Map<string, ServiceInstanceId | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #sampling: Promise<void> | undefined;
  #sampledAt: number | undefined;
  /** When the last look began, or the wait for the first. */
  #lookedAt = performance.now();

  /** @param everyMs how often runs with a limit are looked at; others six times less often */
  constructor(installationId: string, everyMs: number, onError: (error: unknown) => void) {
    this.#installationId = installationId;
    this.#everyMs = everyMs;
    this.#onError = onError;
  }

  /** @param hear gets each sample until the signal fires */
  watch(run: Omit<Watched, 'hear' | 'cpu'>, signal: AbortSignal, hear: (use: ResourceUse) => void): void {
    if (signal.aborted) return;
    const { identity, instanceId, limited } = run;
    const watched: Watched = { identity, instanceId, limited, hear, cpu: new Map() };
    this.#watched.add(watched);
    signal.addEventListener('abort', () => this.#watched.delete(watched), { once: true });
    this.#wind();
  }

  /** Somebody looks: what is older than a sample's interval is looked at anew, for their next look. */
  refresh(): void {
    const age = performance.now() - (this.#sampledAt ?? Number.NEGATIVE_INFINITY);
    if (this.#watched.size > 0 && age >= this.#everyMs) void this.#take();
  }

  #wind(): void {
    clearTimeout(this.#timer);
    if (this.#watched.size === 0) return;
    const limited = [...this.#watched].some((one) => one.limited());
    const interval = limited ? this.#everyMs : this.#everyMs * leisure;
    // From the last look on, not from now: runs that come and go must not put it off.
    const pause = Math.max(0, this.#lookedAt + interval - performance.now());
    this.#timer = setTimeout(() => void this.#take(), pause);
    this.#timer.unref();
  }

  #take(): Promise<void> {
    this.#lookedAt = performance.now();
    this.#sampling ??= this.#sample()
      .catch(this.#onError)
      .finally(() => {
        this.#sampling = undefined;
        this.#wind();
      });
    return this.#sampling;
  }

  async #sample(): Promise<void> {
    const table = await listUse();
    const leaders = new Map([...this.#watched].map((one) => [one.identity.pid, one.instanceId]));
    const runs = Map.groupBy(await this.#withRuns(table, leaders), ([run]) => run);
    const now = performance.now();
    const seconds = this.#sampledAt === undefined ? undefined : (now - this.#sampledAt) / 1000;
    this.#sampledAt = now;
    for (const watched of [...this.#watched]) {
      const members = runs.get(watched.instanceId)?.map(([, use]) => use) ?? [];
      const { pid, startTicks } = watched.identity;
      if (members.some((use) => use.pid === pid && use.startTicks === startTicks))
        this.#tell(watched, members, seconds);
    }
  }

  #tell(watched: Watched, members: readonly ProcessUse[], seconds: number | undefined): void {
    const { pid } = watched.identity;
    const before = watched.cpu;
    watched.cpu = new Map(members.map((use) => [keyOf(use), use.cpuSeconds]));
    const used = members.reduce((sum, use) => sum + use.cpuSeconds - (before.get(keyOf(use)) ?? 0), 0);
    const rssBytes = members.reduce(
      (sum, use) => sum + (use.pid === pid ? use.rssBytes : (privateBytes(use.pid) ?? use.rssBytes)),
      0,
    );
    const openFiles = openFilesOf(pid);
    watched.hear({
      rssBytes,
      ...(before.size === 0 || seconds === undefined ? {} : { cpuPercent: Math.round((used / seconds) * 1000) / 10 }),
      ...(openFiles === undefined ? {} : { openFiles }),
    });
  }

  /** Processes of our runs, each with the run: by group, which is enough for most, else by the marker. */
  async #withRuns(
    table: readonly ProcessUse[],
    leaders: ReadonlyMap<number, ServiceInstanceId>,
  ): Promise<[ServiceInstanceId, ProcessUse][]> {
    const found: [ServiceInstanceId, ProcessUse][] = [];
    const marks = new Map<string, ServiceInstanceId | undefined>();
    for (const use of table) {
      const run = leaders.get(use.group) ?? (await this.#runOf(use, marks));
      if (run !== undefined) found.push([run, use]);
    }
    this.#marks = marks;
    return found;
  }

  async #runOf(
    use: ProcessUse,
    marks: Map<string, ServiceInstanceId | undefined>,
  ): Promise<ServiceInstanceId | undefined> {
    // On macOS an environment costs a process to read: there the group has to do.
    if (process.platform !== 'linux') return undefined;
    const key = keyOf(use);
    if (!this.#marks.has(key)) {
      const mark = await lookAtMark(use.pid);
      if (mark === 'undecided') return undefined;
      marks.set(key, mark?.installationId === this.#installationId ? mark.instanceId : undefined);
    } else marks.set(key, this.#marks.get(key));
    return marks.get(key);
  }
}

function keyOf({ pid, startTicks }: ProcessUse): string {
  return `${pid}:${startTicks}`;
}
