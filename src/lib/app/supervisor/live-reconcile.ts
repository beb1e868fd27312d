import type { Database } from '../../infra/database/connection.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { ConfigInvalidError, ConflictError, DatabaseUnavailableError } from '../../shared/errors.ts';
import { type Booting, endProcess, refuseTakenPorts } from './boot.ts';
import { type BootSteps, type Configured, specsOf } from './configured.ts';
import { type LiveService, planLive } from './live-plan.ts';
import type { ManagedService } from './managed-service.ts';
import { checkDependencies, inOrder } from './order.ts';
import { findOrphans, type Observed, type Orphan, observe, planReconcile, type Step } from './reconcile.ts';
import { dropService, readServices } from './repository.ts';
import type { BootState, ReconcileResult } from './status.ts';

export interface ReconcileOptions {
  /** Only say what it would take. */
  readonly dryRun?: boolean | undefined;
  /** Nobody asked: a file has changed. Then what the files themselves say decides whether anything is done. */
  readonly unasked?: boolean | undefined;
}

/** The running supervisor, as far as a reconcile needs it. */
export interface Reconciling extends Booting {
  readonly state: BootState;
  readonly store: Database | undefined;
  /** Names of services that were adopted under an invalid configuration. */
  readonly standIns: ReadonlySet<string>;
  remove(name: string): void;
  /** The configuration in force is valid from now on. */
  accepted(specs: readonly ServiceSpec[]): void;
  /** Starts and replaces, in the order of what the services need. @returns those that go on in their old form */
  bringUp(start: ReadonlySet<string>, replace: ReadonlySet<string>): Promise<readonly string[]>;
}

/**
 * Reads the configuration and refuses it as a whole or not at all.
 * @throws ConfigInvalidError with every finding; PortTakenError, PreconditionError
 */
export async function checked(steps: BootSteps, installationId: string): Promise<Configured> {
  const configured = await steps.validate();
  checkDependencies(specsOf(configured));
  await refuseTakenPorts(configured.services, installationId);
  return configured;
}

/**
 * Brings a running system to what is configured now; with `dryRun` it only tells what that would take.
 * @throws ConflictError while it starts or stops; DatabaseUnavailableError while nobody can say whose turn it is to act;
 *   PortTakenError, PreconditionError for what stands against the configuration as a whole
 */
export async function reconcileLive(
  supervisor: Reconciling,
  steps: BootSteps,
  options: ReconcileOptions,
): Promise<ReconcileResult> {
  const store = mayReconcile(supervisor);
  let configured: Configured;
  try {
    configured = await checked(steps, supervisor.host.installation.id);
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    return { valid: false, issues: error.issues, steps: [], services: statuses(supervisor), failed: [] };
  }
  const specs = specsOf(configured);
  const found = await lookAround(supervisor, store);
  const plan = planLive(
    specs,
    supervisor.services.map((service) => liveOf(supervisor, service)),
    planReconcile([], found.rows),
    found.strays.map(({ service, identity }) => ({ service, pid: identity.pid })),
  );
  if (options.dryRun === true || (options.unasked === true && configured.manual === true)) {
    return { valid: true, dryRun: true, steps: plan, services: statuses(supervisor), failed: [] };
  }
  mayReconcile(supervisor); // looking took its time
  for (const { kind, name, reason } of plan.filter((step) => step.kind !== 'keep')) {
    supervisor.log.info({ target: name, step: kind, reason }, `reconcile: ${kind} ${name}`);
  }
  await configured.accept?.();
  const failed = await carryOut(supervisor, specs, plan, found);
  return { valid: true, steps: plan, services: statuses(supervisor), failed };
}

function mayReconcile({ state, store, host }: Reconciling): Database {
  if (state === 'stopping' || state === 'failed') throw new ConflictError('The system is being stopped.');
  if (state === 'booting' || store === undefined) throw new ConflictError('The system is still starting.');
  if (host.fence.state !== 'held') {
    throw host.fence.reason ?? new DatabaseUnavailableError('The right to act is not confirmed by the database.');
  }
  return store;
}

interface Found {
  /** Rows that belong to no service of this supervisor. */
  readonly rows: readonly Observed[];
  readonly strays: readonly Orphan[];
}

async function lookAround(supervisor: Reconciling, store: Database): Promise<Found> {
  const { host } = supervisor;
  const known = new Set(supervisor.services.map(({ name }) => name));
  const rows = (await readServices(store, host.installation.id)).filter(({ name }) => !known.has(name));
  const observed = await Promise.all(rows.map((row) => observe(row, undefined, host.installation.id, host.policy)));
  const mine = observed.flatMap(({ ours, instanceId }) => (ours && instanceId !== undefined ? [instanceId] : []));
  const strays = await findOrphans(host.installation.id, new Set<string>([...host.runs, ...mine]));
  return { rows: observed, strays };
}

function liveOf(supervisor: Reconciling, service: ManagedService): LiveService {
  const { name, state, spec, process } = service;
  const onPurpose = supervisor.host.books.stoppedOnPurpose.has(name);
  return { name, state, onPurpose, spec, process, standIn: supervisor.standIns.has(name) };
}

async function carryOut(
  supervisor: Reconciling,
  specs: readonly ServiceSpec[],
  plan: readonly Step[],
  found: Found,
): Promise<string[]> {
  const { host } = supervisor;
  const named = (kind: Step['kind']): Set<string> =>
    new Set(plan.filter((step) => step.kind === kind).map(({ name }) => name));
  const wanted = new Set(specs.map(({ name }) => name));
  const stuck: string[] = [];
  const gone = supervisor.services.filter(({ name }) => !wanted.has(name));
  await inOrder(gone, { parallel: gone.length, reversed: true }, async (service) => {
    await service.stop();
    await service.quiet();
    if (service.state === 'stopped') forget(supervisor, service.name);
    else stuck.push(service.name);
  });
  for (const row of found.rows) {
    await host.fence.held(supervisor.closing);
    if (row.ours) await endProcess(supervisor, row.name, row, undefined, 'it is no longer configured');
    host.recorder.write((db, epoch) => dropService(db, { installationId: host.installation.id, epoch }, row.name));
  }
  for (const stray of found.strays) {
    // Seen between its start and its place on record, it was none.
    if (host.runs.has(stray.instanceId)) continue;
    await host.fence.held(supervisor.closing);
    const spec = specs.find(({ name }) => name === stray.service);
    await endProcess(supervisor, stray.service, stray, spec, 'it is on no record');
    await spec?.cleanUp?.(stray.instanceId);
  }
  supervisor.accepted(specs);
  const current = named('keep');
  for (const service of supervisor.services) if (current.has(service.name)) service.vindicate();
  const old = await supervisor.bringUp(named('start'), named('replace'));
  await host.recorder.flush(host.policy.epochEveryMs);
  const down = supervisor.services.filter(
    ({ name, state }) => wanted.has(name) && state !== 'ready' && !host.books.stoppedOnPurpose.has(name),
  );
  return [...new Set([...stuck, ...old, ...down.map(({ name }) => name)])];
}

function forget(supervisor: Reconciling, name: string): void {
  const { host } = supervisor;
  supervisor.remove(name);
  host.books.stoppedOnPurpose.delete(name);
  host.recorder.write((db, epoch) => dropService(db, { installationId: host.installation.id, epoch }, name));
}

function statuses(supervisor: Reconciling): ReconcileResult['services'] {
  return supervisor.services.map((service) => service.status());
}
