import type { ServiceSpec } from '../../infra/process/spec.ts';
import type { Step } from './reconcile.ts';
import type { ServiceState } from './status.ts';

type Digests = Pick<ServiceSpec, 'artefactHash' | 'configHash'>;

/** The reason of a step for a service that is configured otherwise than it was started. */
export const configurationChanged = 'its configuration has changed';

/** A service as the running supervisor has it. */
export interface LiveService {
  readonly name: string;
  readonly state: ServiceState;
  /** Somebody stopped it by name. */
  readonly onPurpose: boolean;
  /** What it would be started from now. */
  readonly spec: Digests;
  /** What its process was started from, while it has one. */
  readonly process: Digests | undefined;
  /** Adopted under an invalid configuration: what it is to be started from is not known. */
  readonly standIn: boolean;
}

/** A process that carries our marker and belongs to no service. */
export interface Stray {
  readonly service: string;
  readonly pid: number;
}

/**
 * What leads a running system from what it is to what is configured now. Pure: this is what `--dry-run` prints. In the
 * order in which it is carried out: what goes first makes room for what comes.
 * @param rows steps about rows that belong to no service, see `planReconcile`
 */
export function planLive(
  configured: readonly (Pick<ServiceSpec, 'name' | 'dependsOn'> & Digests)[],
  services: readonly LiveService[],
  rows: readonly Step[],
  strays: readonly Stray[],
): Step[] {
  const wanted = new Set(configured.map(({ name }) => name));
  const known = new Map(services.map((service) => [service.name, service]));
  const gone = services.filter(({ name }) => !wanted.has(name));
  const reason = 'it is no longer configured';
  const steps = configured.map((spec): Step => {
    const service = known.get(spec.name);
    const step = service === undefined ? ({ kind: 'start', reason: 'it is new' } as const) : judge(service, spec);
    return { name: spec.name, ...step };
  });
  return [
    ...gone.flatMap(({ name, process }): Step[] => [
      ...(process === undefined ? [] : [{ kind: 'end', name, reason } as const]),
      { kind: 'drop', name, reason },
    ]),
    ...rows,
    ...strays.map(
      ({ service, pid }): Step => ({ kind: 'end', name: service, reason: `process ${pid} is on no record` }),
    ),
    ...steps.map((step, index): Step => {
      // What failed for want of a service that is started now gets another chance with it.
      const needed = (configured[index]?.dependsOn ?? []).find((name) => begins(steps, name));
      const failed = known.get(step.name)?.state === 'failed' && step.kind === 'keep';
      if (!failed || needed === undefined || known.get(step.name)?.onPurpose === true) return step;
      return { kind: 'start', name: step.name, reason: `${needed}, which it needs, is started` };
    }),
  ];
}

function begins(steps: readonly Step[], name: string): boolean {
  return steps.some((step) => step.name === name && (step.kind === 'start' || step.kind === 'replace'));
}

function judge(service: LiveService, spec: Digests): Omit<Step, 'name'> {
  const { state, process, standIn } = service;
  if (service.onPurpose) return { kind: 'keep', reason: 'somebody stopped it' };
  const change = changeOf(process ?? service.spec, spec);
  if (process === undefined && (state === 'failed' || state === 'stopped')) {
    if (change !== undefined) return { kind: 'start', reason: change };
    if (standIn) return { kind: 'start', reason: 'the configuration is valid again' };
    if (state === 'stopped') return { kind: 'start', reason: 'it is configured' };
    return { kind: 'keep', reason: 'it has failed, and nothing about it has changed' };
  }
  if (change !== undefined) return { kind: 'replace', reason: change };
  return { kind: 'keep', reason: state === 'ready' ? 'it is current' : `it is current, and ${state}` };
}

function changeOf(from: Digests, to: Digests): string | undefined {
  // First what a restart does not bring into force.
  if (from.configHash !== to.configHash) return configurationChanged;
  return from.artefactHash === to.artefactHash ? undefined : 'its artefact has changed';
}
