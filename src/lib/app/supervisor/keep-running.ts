import type { Database } from '../../infra/database/connection.ts';
import { httpHealth } from '../../infra/process/health.ts';
import { markedProcesses } from '../../infra/process/marker.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { AppError, ConfigInvalidError, PreconditionError } from '../../shared/errors.ts';
import { type Booting, endProcess, recordOf } from './boot.ts';
import type { KeptConfiguration } from './configured.ts';
import { observe } from './reconcile.ts';
import { readServices, type ServiceRow } from './repository.ts';

// A boot under an invalid configuration: what runs goes on and is watched, and nothing is started.

/** A refusal of the configuration, as opposed to a fault of ours or a stop. */
export function isRefusal(error: unknown): error is AppError {
  if (!(error instanceof AppError)) return false;
  return ['CONFIG_INVALID', 'PRECONDITION', 'PORT_TAKEN', 'NOT_FOUND'].includes(error.code);
}

/** Whether any process of the installation lives. */
export async function anythingRuns(installationId: string): Promise<boolean> {
  return (await markedProcesses(installationId)).length > 0;
}

/** Why a service is not started, in one sentence. */
export function notStartedBecause(error: AppError): string {
  const issues = error instanceof ConfigInvalidError ? error.issues : [];
  const [first] = issues;
  const where =
    first === undefined
      ? error.message
      : `${first.file}:${first.line}:${first.column} ${first.message}${issues.length > 1 ? `, and ${issues.length - 1} more` : ''}`;
  return `it is not started while the configuration is invalid (${where})`;
}

/**
 * Takes over every process on record that lives, whatever its artefact and configuration; reports the others as not started.
 * Ends none but those that a person had stopped, drops no row, sweeps nothing: what is to run is not known.
 */
export async function keepRunning(
  supervisor: Booting,
  store: Database,
  kept: KeptConfiguration,
  because: string,
): Promise<void> {
  const { host } = supervisor;
  const rows = (await readServices(store, host.installation.id)).filter(({ kind }) => kind !== 'database');
  for (const row of rows) {
    const spec = standIn(row, kept, because);
    const service = supervisor.add(spec);
    service.restore(row.generation, row.desired);
    const { ours } = await observe(row, undefined, host.installation.id, host.policy);
    // The calls of an API process that ended while nobody watched.
    if (!ours && row.kind === 'api' && row.instanceId !== undefined) host.closeCalls(row.instanceId);
    const record = recordOf(row);
    if (row.desired === 'stopped') {
      host.books.stoppedOnPurpose.add(row.name);
      if (ours) await endProcess(supervisor, row.name, row, spec, 'it was to be stopped');
    } else if (ours && record !== undefined) {
      supervisor.log.info({ target: row.name, step: 'adopt' }, `reconcile: adopt ${row.name} as it is`);
      service.adopt(record, row);
      host.ports.reserve(row.name, record.port);
    } else {
      service.refuse(because);
    }
  }
}

/**
 * What can be known of a service from its row alone: how to ask for its health and how to end it, not how to start it. Its
 * digests are those of what runs, so that a later reconcile compares them with the configuration of then.
 */
function standIn(row: ServiceRow, kept: KeptConfiguration, because: string): ServiceSpec {
  const refuse = async (): Promise<never> => {
    throw new PreconditionError(because, { next: ['infra services reconcile'] });
  };
  return {
    name: row.name,
    kind: row.kind,
    dependsOn: kept.database === undefined ? [] : [kept.database.name],
    ...(row.port === undefined ? {} : { port: { preferred: row.port } }),
    artefactHash: row.artefactHash ?? '',
    configHash: row.configHash ?? '',
    prepare: refuse,
    command: refuse,
    ...(row.kind === 'api' ? kept.api : { probe: (context) => httpHealth(context) }),
    stop: { signal: 'SIGTERM', graceMs: 10_000 },
    readyTimeoutMs: 30_000,
    rotatesItsLog: true,
  };
}
