import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type MarkedProcess, markedProcesses } from '../../src/lib/infra/process/marker.ts';
import type { SoakSystem } from './system.ts';

/** What one process held over its life. */
export interface Growth {
  readonly service: string;
  readonly pid: number;
  readonly seconds: number;
  readonly rssMb: { readonly first: number; readonly last: number; readonly max: number };
  readonly files: { readonly first: number; readonly last: number; readonly max: number };
}

interface Life extends Growth {
  readonly since: number;
}

const settledMs = 5_000;

/** Looks at the processes from outside, all the time: twins while they run, memory and open files of each. */
export class Watch {
  readonly twins = new Set<string>();
  readonly #system: SoakSystem;
  readonly #lives = new Map<number, Life>();
  readonly #timer: NodeJS.Timeout;
  #looking = false;

  constructor(system: SoakSystem) {
    this.#system = system;
    this.#timer = setInterval(() => void this.#look(), 500);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The longest life of each service, and of the supervisor. */
  growth(): Growth[] {
    const longest = new Map<string, Growth>();
    for (const { since: _, ...life } of this.#lives.values())
      if ((longest.get(life.service)?.seconds ?? -1) < life.seconds) longest.set(life.service, life);
    return [...longest.values()].filter(({ seconds }) => seconds > 0);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const marked = await markedProcesses(this.#system.instance.id);
      const leaders = marked.filter(({ identity, group }) => identity.pid === group);
      for (const twin of twinsAmong(leaders)) this.twins.add(twin);
      for (const { identity, service } of leaders) this.#weigh(identity.pid, service);
      for (const pid of await this.#system.supervisors()) this.#weigh(pid, 'supervisor');
    } finally {
      this.#looking = false;
    }
  }

  #weigh(pid: number, service: string): void {
    const now = performance.now();
    const known = this.#lives.get(pid);
    if (known === undefined || known.service !== service) {
      const none = { first: 0, last: 0, max: 0 };
      this.#lives.set(pid, { service, pid, since: now, seconds: 0, rssMb: none, files: none });
      return;
    }
    // What a start needs is not growth.
    if (now - known.since < settledMs) return;
    const held = { rssMb: rssMb(pid), files: openFiles(pid) };
    if (held.rssMb === undefined || held.files === undefined) return;
    const next = (before: Growth['rssMb'], value: number) => ({
      first: before.first || value,
      last: value,
      max: Math.max(before.max, value),
    });
    this.#lives.set(pid, {
      ...known,
      seconds: Math.round((now - known.since) / 1000),
      rssMb: next(known.rssMb, held.rssMb),
      files: next(known.files, held.files),
    });
  }
}

/** A hand-over has two runs side by side, on purpose; the database never, and nothing has three. */
function twinsAmong(leaders: readonly MarkedProcess[]): string[] {
  const runs = Map.groupBy(leaders, ({ service }) => service);
  return [...runs].flatMap(([service, found]) => {
    const ids = [...new Set(found.map(({ instanceId }) => instanceId))];
    return ids.length > (service === 'database' ? 1 : 2)
      ? [`${service}: runs ${ids.join(', ')} at once (pids ${found.map(({ identity }) => identity.pid).join(', ')})`]
      : [];
  });
}

/** What does not belong there while nothing is under way. */
export interface Strays {
  /** Marked processes of runs that are on no record. */
  readonly orphans: readonly string[];
  /** Services with several runs, and several supervisors. */
  readonly twins: readonly string[];
}

/** Compares the processes with what the supervisor says. */
export async function strays(system: SoakSystem): Promise<Strays> {
  const [status, marked, supervisors] = await Promise.all([
    system.status(),
    markedProcesses(system.instance.id),
    system.supervisors(),
  ]);
  const known = new Set<string | undefined>(status?.services.map(({ instanceId }) => instanceId));
  const orphans = marked.filter(({ instanceId }) => !known.has(instanceId));
  const byService = Map.groupBy(
    marked.filter(({ identity, group }) => identity.pid === group),
    ({ service }) => service,
  );
  const twins = [...byService].filter(([, found]) => new Set(found.map(({ instanceId }) => instanceId)).size > 1);
  return {
    orphans: orphans.map(
      ({ identity, service, instanceId }) => `process ${identity.pid} of ${service}, run ${instanceId}`,
    ),
    twins: [
      ...twins.map(
        ([service, found]) => `${service}: processes ${found.map(({ identity }) => identity.pid).join(', ')}`,
      ),
      ...(supervisors.length > 1 ? [`supervisors: processes ${supervisors.join(', ')}`] : []),
    ],
  };
}

/** Log files and bytes of each service: they are bounded. */
export function logs(system: SoakSystem): { service: string; files: number; megabytes: number }[] {
  const { logsDir } = system.instance;
  return readdirSync(logsDir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => {
      const files = readdirSync(join(logsDir, name));
      const bytes = files.reduce((sum, file) => sum + statSync(join(logsDir, name, file)).size, 0);
      return { service: name, files: files.length, megabytes: Math.round(bytes / 1e5) / 10 };
    });
}

function rssMb(pid: number): number | undefined {
  try {
    const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kb === undefined ? undefined : Math.round(Number(kb) / 102.4) / 10;
  } catch {
    return undefined; // it has ended
  }
}

function openFiles(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined; // it has ended
  }
}
