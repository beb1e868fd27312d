import { type MarkedProcess, markedProcesses } from '../../infra/process/marker.ts';

/**
 * The services whose processes go on although no supervisor runs, each with the pid of its first process: one that was
 * killed takes nobody along, and the next one adopts them. Ask only after a supervisor did not answer.
 */
export async function leftBehind(installationId: string): Promise<ReadonlyMap<string, number>> {
  return leadersOf(await markedProcesses(installationId));
}

/** By service, in the order of their names, the process that started the others. */
export function leadersOf(
  processes: readonly Pick<MarkedProcess, 'identity' | 'parent' | 'service'>[],
): ReadonlyMap<string, number> {
  const pids = new Set(processes.map(({ identity }) => identity.pid));
  const leaders = new Map<string, number>();
  const first = (one: (typeof processes)[number]): number => (pids.has(one.parent) ? 1 : 0);
  for (const one of processes.toSorted((a, b) => first(a) - first(b) || a.identity.pid - b.identity.pid)) {
    if (one.service !== '' && !leaders.has(one.service)) leaders.set(one.service, one.identity.pid);
  }
  return new Map([...leaders].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
