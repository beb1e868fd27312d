import { readFileSync } from 'node:fs';
import type { ProcessIdentity } from '../../infra/process/identity.ts';
import { terminate } from '../../infra/process/terminate.ts';
import { InternalError } from '../../shared/errors.ts';
import { findOrphans, type Orphan } from '../supervisor/reconcile.ts';
import type { InstanceStatus } from '../supervisor/status.ts';
import type { CleanupItem } from './item.ts';

/** A supervisor that runs may have started what is younger than this and not put it on record yet. In ms. */
const youngerMs = 120_000;
/** Linux counts start times in hundredths of a second since boot, whatever the kernel's own tick (USER_HZ). */
const ticksPerSecond = 100;

/**
 * Processes of the instance that no supervisor has on record: all of them when none runs. While one boots there are
 * none, since it is just deciding on them; those that it may have just started are left out.
 *
 * @param status of the supervisor that runs, if one does
 * @param youngMs how old a process must be to count beside a supervisor that runs
 */
export async function orphansOf(
  installationId: string,
  status: InstanceStatus | undefined,
  youngMs = youngerMs,
): Promise<Orphan[]> {
  if (status !== undefined && status.supervisor.state !== 'running') return [];
  const runs = (status?.services ?? []).flatMap((service) => [service, ...(service.beside ?? [])]);
  const known = new Set(runs.flatMap(({ instanceId }) => instanceId ?? []));
  // A command that a service of ours runs belongs to that service.
  const self = process.env['SYSTEMPROMPT_SERVICE_INSTANCE'];
  if (self !== undefined) known.add(self);
  const found = await findOrphans(installationId, known);
  return status === undefined ? found : found.filter(({ identity }) => ageOf(identity) > youngMs);
}

/** How long ago a process began, in ms. */
function ageOf({ startTicks }: ProcessIdentity): number {
  if (process.platform !== 'linux') return Date.now() - Date.parse(startTicks);
  const [uptime = ''] = readFileSync('/proc/uptime', 'utf8').split(' ');
  return (Number(uptime) - Number(startTicks) / ticksPerSecond) * 1000;
}

/** @param supervised whether a supervisor runs, which has it on no record */
export function orphanItem(installationId: string, orphan: Orphan, supervised: boolean): CleanupItem {
  const { service, identity, instanceId } = orphan;
  const database = service === 'database';
  return {
    kind: 'process',
    what: `${identity.pid} ${service}`,
    bytes: 0,
    reason: supervised ? 'it is on no record' : 'it goes on without a supervisor; a start would take it over',
    async remove() {
      const how = {
        signal: database ? 'SIGINT' : 'SIGTERM',
        graceMs: database ? 20_000 : 5_000,
        killWaitMs: 2_000,
      } as const;
      const { outcome, survivors } = await terminate({ identity, instanceId, installationId }, how);
      if (outcome === 'unkillable') throw new InternalError(`process ${survivors.join(', ')} can't be ended`);
    },
  };
}
