import { hostname } from 'node:os';
import type { Database } from '../../infra/database/connection.ts';
import { bootId } from '../../infra/process/identity.ts';
import { type AppError, CancelledError } from '../../shared/errors.ts';
import { adoptOrClear, type Booting, reconcileDatabase } from './boot.ts';
import { type BootSteps, type Configured, type KeptConfiguration, specsOf } from './configured.ts';
import { anythingRuns, isRefusal, keepRunning, notStartedBecause } from './keep-running.ts';
import { checked } from './live-reconcile.ts';
import { takeEpoch } from './repository.ts';
import { startInOrder } from './start-and-stop.ts';
import type { InstanceStatus } from './status.ts';

/** The supervisor, as far as bringing everything up needs it. */
export interface StartingUp extends Booting {
  readonly version: string;
  readonly standIns: Set<string>;
  /** How long each phase took; added to. */
  readonly phases: InstanceStatus['phases'][number][];
  /** From now on there is a database to write to. */
  opened(store: Database): void;
  /** What runs is kept under a configuration that does not hold. */
  refused(error: AppError): void;
}

type Refused = KeptConfiguration & { readonly refused: AppError };

/**
 * The phases of a boot, in their order: validate, database, migrate, reconcile, services.
 * @returns what refused the configuration, when what runs was taken over all the same
 * @throws what keeps the supervisor from going on; CancelledError when a shutdown has begun
 */
export async function startUp(supervisor: StartingUp, steps: BootSteps): Promise<AppError | undefined> {
  const { host } = supervisor;
  const found = await phase(supervisor, 'validate', () => validate(supervisor, steps));
  const refused = 'refused' in found ? found.refused : undefined;
  if (found.database !== undefined) {
    await phase(supervisor, 'database', () =>
      reconcileDatabase(supervisor, supervisor.service('database'), host.records, refused !== undefined),
    );
  }
  const store = await phase(supervisor, 'migrate', () => steps.openStore(supervisor.closing));
  supervisor.opened(store);
  checkOpen(supervisor);
  const remaining = await phase(supervisor, 'reconcile', async () => {
    const holder = { pid: process.pid, host: hostname(), bootId: await bootId(), version: supervisor.version };
    host.recorder.begin(store, await takeEpoch(store, host.installation.id, holder));
    const names =
      'refused' in found
        ? await keep(supervisor, store, found)
        : await adoptOrClear(supervisor, store, found.services, host.books.stoppedOnPurpose);
    // What happened before there were rows: the database's own.
    for (const service of supervisor.services) host.books.record(service);
    return names;
  });
  await phase(supervisor, 'services', () => startInOrder(supervisor, remaining));
  checkOpen(supervisor);
  return refused;
}

/** @throws what refuses the configuration, when nothing runs that could be kept */
async function validate(supervisor: StartingUp, steps: BootSteps): Promise<Configured | Refused> {
  const { id } = supervisor.host.installation;
  try {
    const configured = await checked(steps, id);
    await configured.accept?.();
    for (const spec of specsOf(configured)) supervisor.add(spec);
    return configured;
  } catch (error) {
    if (!isRefusal(error) || !(await anythingRuns(id))) throw error;
    const kept = await steps.kept?.();
    if (kept === undefined) throw error;
    if (kept.database !== undefined) supervisor.add(kept.database);
    return { ...kept, refused: error };
  }
}

/** @returns no names: nothing is to be started */
async function keep(supervisor: StartingUp, store: Database, kept: Refused): Promise<Set<string>> {
  const { refused } = kept;
  supervisor.refused(refused);
  supervisor.log.error({ err: refused }, 'the configuration is invalid: what runs is kept, and nothing is started');
  await keepRunning(supervisor, store, kept, notStartedBecause(refused));
  for (const { name, spec } of supervisor.services) if (spec.kind !== 'database') supervisor.standIns.add(name);
  return new Set();
}

async function phase<T>(supervisor: StartingUp, name: string, work: () => Promise<T>): Promise<T> {
  checkOpen(supervisor);
  const since = performance.now();
  const result = await work();
  const done = { name, ms: Math.round(performance.now() - since) };
  supervisor.phases.push(done);
  supervisor.journal.add({ type: 'phase', ...done });
  return result;
}

function checkOpen({ closing }: StartingUp): void {
  if (closing.aborted) throw new CancelledError('The start was interrupted.');
}
