import type { Database } from '../../infra/database/connection.ts';
import { lastWords } from '../../infra/process/log-tail.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { terminate } from '../../infra/process/terminate.ts';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import { isApiService } from './api-names.ts';
import type { DatabaseRecordFile } from './database-record.ts';
import type { Journal } from './journal.ts';
import type { ManagedService } from './managed-service.ts';
import { portTaken } from './port-choice.ts';
import { type PortLookup, portsOf, whoHolds } from './port-holder.ts';
import { findOrphans, type Observed, observe, planReconcile, type Recorded, type Step } from './reconcile.ts';
import { dropService, readServices, type ServiceRow } from './repository.ts';
import type { ProcessRecord } from './run.ts';
import type { SupervisorLog } from './service-host.ts';
import type { SupervisorHost } from './supervisor-host.ts';

// The steps of a boot that look at what an earlier supervisor left behind.

/** The supervisor, as far as these steps need it. */
export interface Booting {
  readonly host: SupervisorHost;
  readonly journal: Journal;
  readonly log: SupervisorLog;
  readonly services: readonly ManagedService[];
  /** Aborted when a shutdown has begun. */
  readonly closing: AbortSignal;
  service(name: string): ManagedService;
  /** Takes a service into care. */
  add(spec: ServiceSpec): ManagedService;
}

const orphanGraceMs = 5_000;

/**
 * Looks at the fixed ports before anything is started.
 * @throws PortTakenError when a stranger listens on one, another user's process too; a process of ours may be adopted
 */
export async function refuseTakenPorts(
  specs: readonly ServiceSpec[],
  installationId: string,
  lookup?: PortLookup,
): Promise<void> {
  for (const spec of specs) {
    if (spec.port === undefined || spec.port.range !== undefined) continue;
    const ports = lookup ?? portsOf(spec.port, installationId);
    const held = await whoHolds(spec.port.preferred, ports, { waitMs: 0 });
    if (held !== undefined && !held.ours) throw portTaken(spec, held.holder);
  }
}

/**
 * Adopts the database's process when it is ours, healthy and current; ends it when it is outdated; starts it otherwise.
 * @param keep adopt it even when it is outdated
 * @throws DatabaseUnavailableError with the end of its log when it does not become ready
 */
export async function reconcileDatabase(
  supervisor: Booting,
  service: ManagedService,
  records: DatabaseRecordFile,
  keep = false,
): Promise<void> {
  const { host } = supervisor;
  const { generation, process: known } = await records.read();
  service.restore(generation, 'running');
  const recorded: Recorded[] = known === undefined ? [] : [{ ...known, name: service.name, desired: 'running' }];
  const observed = await Promise.all(
    recorded.map((entry) => observe(entry, service.spec, host.installation.id, host.policy)),
  );
  const [step] = planReconcile([service.spec], observed);
  const asItIs = keep && observed[0]?.ours === true && observed[0].healthy;
  if (known !== undefined && (step?.kind === 'adopt' || asItIs)) {
    service.adopt(known, known);
    return;
  }
  // Runs of it that are on no record as well: two servers must never open one data directory.
  const orphans = await findOrphans(host.installation.id, new Set());
  const ours = orphans.filter((orphan) => orphan.service === service.name);
  for (const orphan of ours)
    await endProcess(supervisor, service.name, orphan, service.spec, step?.reason ?? 'it is on no record');
  await service.start();
  if (service.state === 'ready' || supervisor.closing.aborted) return;
  const lines = service.logFile === undefined ? [] : lastWords(service.logFile);
  throw new DatabaseUnavailableError(`PostgreSQL did not start: ${service.facts.lastError ?? 'no reason is known'}`, {
    hint: 'The end of its log says why.',
    data: { reason: 'not_started', log: lines },
  });
}

/**
 * Brings rows and processes together: adopts, ends, clears, drops, sweeps.
 * @param stopped filled with the names of services that are to stay stopped
 * @returns the names of the services that remain to be started
 */
export async function adoptOrClear(
  supervisor: Booting,
  store: Database,
  specs: readonly ServiceSpec[],
  stopped: Set<string>,
): Promise<Set<string>> {
  const { host } = supervisor;
  const rows = (await readServices(store, host.installation.id)).filter(({ kind }) => kind !== 'database');
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const observed = await Promise.all(
    rows.map((row) => observe(row, byName.get(row.name), host.installation.id, host.policy)),
  );
  for (const row of rows) {
    if (!byName.has(row.name)) continue;
    supervisor.service(row.name).restore(row.generation, row.desired);
    if (row.desired === 'stopped') stopped.add(row.name);
  }
  const steps = planReconcile(specs, observed);
  // Side by side: after an upgrade everything is outdated, and each may take its whole grace.
  await Promise.all(
    steps
      .filter(({ kind }) => kind !== 'start')
      .map(async (step) => {
        supervisor.log.info(
          { target: step.name, step: step.kind, reason: step.reason },
          `reconcile: ${step.kind} ${step.name}`,
        );
        const row = rows.find(({ name }) => name === step.name);
        if (row !== undefined) await take(supervisor, step, row, byName.get(step.name));
      }),
  );
  const running = supervisor.services.flatMap(({ process: known }) => (known === undefined ? [] : [known.instanceId]));
  const orphans = await findOrphans(host.installation.id, new Set<string>(running));
  await Promise.all(
    orphans.map((orphan) =>
      endProcess(supervisor, orphan.service, orphan, byName.get(orphan.service), 'it is on no record'),
    ),
  );
  for (const { spec } of supervisor.services) await spec.sweep?.();
  return new Set(steps.filter(({ kind }) => kind === 'start').map(({ name }) => name));
}

/** Takes one step of the plan that concerns what is there already. */
async function take(supervisor: Booting, step: Step, row: ServiceRow, spec: ServiceSpec | undefined): Promise<void> {
  const { host } = supervisor;
  const { kind, name, reason } = step;
  if (kind === 'adopt') {
    const record = recordOf(row);
    if (record === undefined) return;
    supervisor.service(name).adopt(record, row);
    host.ports.reserve(name, record.port);
    return;
  }
  if (kind === 'drop') {
    host.recorder.write((db, epoch) => dropService(db, { installationId: host.installation.id, epoch }, name));
    return;
  }
  if (kind === 'end') return await endProcess(supervisor, name, row, spec, reason);
  // The calls of an API process that ended while nobody watched.
  if (row.kind === 'api' && row.instanceId !== undefined) host.closeCalls(row.instanceId);
}

/** Ends a process that no service has in its care, with all that it started. */
export async function endProcess(
  supervisor: Booting,
  name: string,
  found: Pick<Observed, 'identity' | 'instanceId'>,
  spec: ServiceSpec | undefined,
  reason: string,
): Promise<void> {
  const { host } = supervisor;
  const { identity, instanceId } = found;
  if (identity === undefined || instanceId === undefined) return;
  const how = {
    signal: spec?.stop.signal ?? 'SIGTERM',
    graceMs: spec?.stop.graceMs ?? orphanGraceMs,
    killWaitMs: host.policy.killWaitMs,
  } as const;
  const { outcome, survivors } = await terminate({ identity, instanceId, installationId: host.installation.id }, how);
  const facts = { target: name, targetPid: identity.pid, outcome, survivors, reason };
  if (outcome === 'unkillable') supervisor.log.error(facts, `an old process of ${name} can't be ended`);
  else supervisor.log.info(facts, `an old process of ${name} was ended`);
  supervisor.journal.add({
    type: 'log',
    level: 'info',
    service: name,
    message: `ended process ${identity.pid}: ${reason}`,
  });
  if (isApiService(name)) host.closeCalls(instanceId);
}

export function recordOf(row: ServiceRow): ProcessRecord | undefined {
  const { instanceId, identity, port, startedAt, artefactHash, configHash } = row;
  if (instanceId === undefined || identity === undefined || artefactHash === undefined || configHash === undefined)
    return undefined;
  return { instanceId, identity, port, startedAt: startedAt ?? new Date(), artefactHash, configHash };
}
