import { isAlive, type ProcessIdentity, processInfo } from '../../infra/process/identity.ts';
import { type MarkedProcess, markedProcesses, markOf } from '../../infra/process/marker.ts';
import { ProbeConnection } from '../../infra/process/probe-connection.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { SupervisionPolicy } from './policy.ts';
import type { ReconcileStep } from './status.ts';

/** A process that a former supervisor put on record, and what is found of it now. */
export interface Recorded {
  readonly name: string;
  readonly instanceId: ServiceInstanceId | undefined;
  readonly identity: ProcessIdentity | undefined;
  readonly port: number | undefined;
  readonly artefactHash: string | undefined;
  readonly configHash: string | undefined;
  readonly desired: 'running' | 'stopped';
}

export interface Observed extends Recorded {
  /** That very process lives, and carries this run's marker. A pid that somebody else has now is not. */
  readonly ours: boolean;
  /** It answers its health check with the recorded run's id. */
  readonly healthy: boolean;
}

/** One step of a plan. */
export type Step = ReconcileStep;

type Current = Pick<ServiceSpec, 'name' | 'artefactHash' | 'configHash'>;

/**
 * What leads from what is found to what is configured: healthy processes that are current are adopted, outdated or sick
 * ones ended, dead ones cleared away, unconfigured ones dropped, and the rest is started. Pure.
 */
export function planReconcile(specs: readonly Current[], observed: readonly Observed[]): Step[] {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const steps: Step[] = [];
  const running = new Set<string>();
  for (const found of observed) {
    const spec = byName.get(found.name);
    const step = judge(found, spec);
    if (step !== undefined) steps.push({ name: found.name, ...step });
    if (step?.kind === 'adopt') running.add(found.name);
    if (spec === undefined) steps.push({ kind: 'drop', name: found.name, reason: 'it is no longer configured' });
  }
  const stopped = new Set(observed.filter(({ desired }) => desired === 'stopped').map(({ name }) => name));
  for (const { name } of specs) {
    if (!running.has(name) && !stopped.has(name)) steps.push({ kind: 'start', name, reason: 'it is configured' });
  }
  return steps;
}

function judge(found: Observed, spec: Current | undefined): Omit<Step, 'name'> | undefined {
  if (found.identity === undefined) return undefined;
  if (!found.ours) return { kind: 'clear', reason: `its process ${found.identity.pid} is gone` };
  if (spec === undefined) return { kind: 'end', reason: 'it is no longer configured' };
  if (found.desired === 'stopped') return { kind: 'end', reason: 'it was to be stopped' };
  if (found.artefactHash !== spec.artefactHash) return { kind: 'end', reason: 'it runs an outdated artefact' };
  if (found.configHash !== spec.configHash) return { kind: 'end', reason: 'its configuration has changed' };
  if (!found.healthy) return { kind: 'end', reason: 'it does not answer its health check' };
  return { kind: 'adopt', reason: 'it is healthy and current' };
}

/** Looks at what is left of a recorded process. */
export async function observe(
  recorded: Recorded,
  spec: ServiceSpec | undefined,
  installationId: string,
  policy: SupervisionPolicy,
): Promise<Observed> {
  const ours = await isOurs(recorded, installationId);
  return { ...recorded, ours, healthy: ours && spec !== undefined && (await isHealthy(recorded, spec, policy)) };
}

async function isOurs({ identity, instanceId }: Recorded, installationId: string): Promise<boolean> {
  if (identity === undefined || instanceId === undefined || !(await isAlive(identity))) return false;
  const mark = await markOf(identity.pid);
  return mark?.installationId === installationId && mark.instanceId === instanceId;
}

/** One that is silent is asked as often as a watch over it would: a busy moment at our boot is no reason to end it. */
async function isHealthy(
  { identity, instanceId, port }: Recorded,
  spec: ServiceSpec,
  policy: SupervisionPolicy,
): Promise<boolean> {
  if (identity === undefined || instanceId === undefined) return false;
  const connection = new ProbeConnection();
  const timeoutMs = policy.probeTimeoutMs;
  try {
    for (let check = 0; check < policy.livenessMisses; check += 1) {
      const since = performance.now();
      const signal = AbortSignal.timeout(timeoutMs);
      const { ready } = await spec.probe({ instanceId, pid: identity.pid, port, signal, timeoutMs, connection });
      if (ready) return await isAlive(identity);
      // One that is stopped by a signal does not come round by itself.
      const silent = performance.now() - since >= 0.9 * timeoutMs;
      if (!silent || (await processInfo(identity.pid))?.state === 'T') return false;
    }
    return false;
  } catch {
    return false; // a check that fails to run is a check that failed
  } finally {
    connection.close();
  }
}

/** A run that carries our marker and is on no record: a supervisor died between its start and the row. */
export interface Orphan {
  readonly instanceId: ServiceInstanceId;
  readonly service: string;
  readonly identity: ProcessIdentity;
}

/**
 * Orphans by run, each by its oldest process: the leader that all others come from, or what is left of them. Whoever ends
 * the run takes what is older than that process for a stranger.
 */
export async function findOrphans(installationId: string, known: ReadonlySet<string>): Promise<Orphan[]> {
  const byRun = new Map<string, Orphan>();
  const marked = await markedProcesses(installationId);
  const leads = ({ group, identity }: MarkedProcess): number => Number(group === identity.pid);
  // Elsewhere the start is a date of whole seconds, in words.
  const since = ({ identity }: MarkedProcess): number =>
    process.platform === 'linux' ? Number(identity.startTicks) : 0;
  marked.sort((a, b) => since(a) - since(b) || leads(b) - leads(a));
  for (const { instanceId, service, identity } of marked) {
    if (!known.has(instanceId) && !byRun.has(instanceId)) byRun.set(instanceId, { instanceId, service, identity });
  }
  return [...byRun.values()];
}
