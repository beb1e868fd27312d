import type { ServiceInstanceId } from '../../shared/ids.ts';
import { bootId, type ProcessIdentity } from './identity.ts';
import { environmentOf, listProcesses } from './table.ts';

/** What every child of a supervisor carries in its environment, and hands on to whatever it starts itself. */
export interface Markers {
  readonly SYSTEMPROMPT_ROOT: string;
  readonly SYSTEMPROMPT_PROFILE: string;
  /** Id of the installation. */
  readonly SYSTEMPROMPT_INSTANCE: string;
  /** Name of the service. */
  readonly SYSTEMPROMPT_SERVICE: string;
  /** Id of this run of the service. */
  readonly SYSTEMPROMPT_SERVICE_INSTANCE: string;
}

export const markerNames = [
  'SYSTEMPROMPT_ROOT',
  'SYSTEMPROMPT_PROFILE',
  'SYSTEMPROMPT_INSTANCE',
  'SYSTEMPROMPT_SERVICE',
  'SYSTEMPROMPT_SERVICE_INSTANCE',
] as const satisfies readonly (keyof Markers)[];

/** A process that a supervisor of this installation started, directly or not. */
export interface MarkedProcess {
  readonly identity: ProcessIdentity;
  readonly parent: number;
  readonly group: number;
  readonly service: string;
  readonly instanceId: ServiceInstanceId;
}

/**
 * Every living process with this installation's marker and a run's id. A daemon that left its group by setsid(2) is
 * among them, since the environment goes along; a shell that merely exports the installation's id is not.
 */
export async function markedProcesses(installationId: string): Promise<MarkedProcess[]> {
  const boot = await bootId();
  const found: MarkedProcess[] = [];
  for (const info of await listProcesses()) {
    if (info.pid === process.pid) continue;
    const mark = await markOf(info.pid);
    if (mark === undefined || mark.installationId !== installationId) continue;
    found.push({
      identity: { bootId: boot, pid: info.pid, startTicks: info.startTicks },
      parent: info.parent,
      group: info.group,
      service: mark.service,
      instanceId: mark.instanceId,
    });
  }
  return found;
}

/** What a process of ours carries. */
export interface Mark {
  readonly installationId: string;
  readonly service: string;
  readonly instanceId: ServiceInstanceId;
}

/** The marker that a process carries; `undefined` when it has none or can't be read. */
export async function markOf(pid: number): Promise<Mark | undefined> {
  const seen = await lookAtMark(pid);
  return seen === 'undecided' ? undefined : seen;
}

/** {@link markOf}, with `undecided` for a process without an environment: in the midst of execve(2) it will have one. */
export async function lookAtMark(pid: number): Promise<Mark | 'undecided' | undefined> {
  const env = await environmentOf(pid);
  if (env === 'empty') return 'undecided';
  const installationId = env?.get('SYSTEMPROMPT_INSTANCE');
  const instanceId = env?.get('SYSTEMPROMPT_SERVICE_INSTANCE');
  if (installationId === undefined || instanceId === undefined || instanceId === '') return undefined;
  return {
    installationId,
    service: env?.get('SYSTEMPROMPT_SERVICE') ?? '',
    instanceId: instanceId as ServiceInstanceId,
  };
}
