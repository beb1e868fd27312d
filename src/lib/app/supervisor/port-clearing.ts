import { identify } from '../../infra/process/identity.ts';
import { markOf } from '../../infra/process/marker.ts';
import { holdersOf, type PortHolder } from '../../infra/process/ports.ts';
import { type Termination, terminate } from '../../infra/process/terminate.ts';

/** What became of those who still listened on the port of a run that was ended. */
export interface ClearedPort {
  /** Processes of the same service that were ended. */
  readonly ended: readonly number[];
  /** Those of them that even SIGKILL did not end. */
  readonly survivors: readonly number[];
  /** Others, who were left alone. */
  readonly strangers: readonly PortHolder[];
}

/**
 * Ends whoever still listens on the port of a run that was ended and carries the installation's marker for the same
 * service: a process that was given another run's id, say, is found by no other trace.
 * @param of.known ids of the runs that are meant to go on, on a port that they share
 */
export async function clearPort(
  of: {
    readonly port: number;
    readonly service: string;
    readonly installationId: string;
    readonly known: ReadonlySet<string>;
  },
  how: Termination,
): Promise<ClearedPort> {
  const ended: number[] = [];
  const survivors: number[] = [];
  const strangers: PortHolder[] = [];
  for (const holder of await holdersOf(of.port, true)) {
    const { pid } = holder;
    // In this order: whoever has the number when the marker is read is whoever is signalled, or nobody is.
    const identity = pid === undefined ? undefined : await identify(pid);
    const mark = pid === undefined ? undefined : await markOf(pid);
    if (mark === undefined || mark.installationId !== of.installationId) {
      if (pid === undefined || identity !== undefined) strangers.push(holder);
      continue;
    }
    if (mark.service !== of.service || of.known.has(mark.instanceId) || identity === undefined) continue;
    const { installationId } = of;
    const result = await terminate({ identity, installationId, instanceId: mark.instanceId }, how);
    if (result.outcome === 'unkillable') survivors.push(...result.survivors);
    else ended.push(identity.pid);
  }
  return { ended, survivors, strangers };
}
