import type { Queryable } from '../../infra/database/connection.ts';
import type { ProcessIdentity } from '../../infra/process/identity.ts';
import type { ServiceKind } from '../../infra/process/spec.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { FilesStatus, LastExit, ServiceState } from './status.ts';
import type { ServicesRow, SupervisorEpochRow } from './tables.ts';

/** A service as its row has it. */
export interface ServiceRow {
  readonly name: string;
  readonly kind: ServiceKind;
  readonly desired: ServicesRow['desired'];
  readonly state: ServiceState;
  readonly generation: number;
  readonly instanceId: ServiceInstanceId | undefined;
  readonly identity: ProcessIdentity | undefined;
  readonly port: number | undefined;
  readonly artefactHash: string | undefined;
  readonly configHash: string | undefined;
  readonly startedAt: Date | undefined;
  readonly readyAt: Date | undefined;
  readonly readyMs: number | undefined;
  readonly lastExit: LastExit | undefined;
  readonly lastExitAt: Date | undefined;
  readonly restarts: number;
  readonly nextRetryAt: Date | undefined;
  readonly lastError: string | undefined;
  /** Whether requests are to be routed to it. */
  readonly serving: boolean;
  readonly healthReason: string | undefined;
  readonly failuresInRow: number;
  readonly firstFailureAt: Date | undefined;
}

/** One line of `service_events`. */
export interface TransitionRow {
  readonly from: ServiceState | FilesStatus['state'];
  readonly to: ServiceState | FilesStatus['state'];
  readonly event: string;
  readonly reason: string | undefined;
  readonly at: Date;
}

export interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly bootId: string;
  readonly version: string;
}

/** Takes over: from now on writes under an earlier epoch change nothing. @returns the new epoch */
export async function takeEpoch(db: Queryable, installationId: string, holder: Holder): Promise<number> {
  const [row] = await db.query<Pick<SupervisorEpochRow, 'epoch'>>(
    `INSERT INTO supervisor_epoch AS held (installation_id, epoch, holder_pid, host, boot_id, version)
     VALUES ($1, 1, $2, $3, $4, $5)
     ON CONFLICT (installation_id) DO UPDATE SET epoch = held.epoch + 1, holder_pid = excluded.holder_pid,
       host = excluded.host, boot_id = excluded.boot_id, version = excluded.version, taken_at = now()
     RETURNING epoch`,
    [installationId, holder.pid, holder.host, holder.bootId, holder.version],
  );
  if (row === undefined) throw new Error('The epoch is not there after it was taken');
  return row.epoch;
}

/** Whether the epoch is still ours. */
export async function holdsEpoch(db: Queryable, installationId: string, epoch: number): Promise<boolean> {
  const sql = 'SELECT 1 FROM supervisor_epoch WHERE installation_id = $1 AND epoch = $2';
  const rows = await db.query(sql, [installationId, epoch], { name: 'holds_epoch' });
  return rows.length === 1;
}

/** Every service on record for the installation, by name. */
export async function readServices(db: Queryable, installationId: string): Promise<ServiceRow[]> {
  const rows = await db.query<ServicesRow>('SELECT * FROM services WHERE installation_id = $1 ORDER BY name', [
    installationId,
  ]);
  return rows.map((row) => ({
    name: row.name,
    kind: row.kind,
    desired: row.desired,
    state: row.state,
    generation: row.generation,
    instanceId: (row.instance_id as ServiceInstanceId | null) ?? undefined,
    identity:
      row.pid === null || row.boot_id === null || row.start_ticks === null
        ? undefined
        : { bootId: row.boot_id, pid: row.pid, startTicks: row.start_ticks },
    port: row.port ?? undefined,
    artefactHash: row.artefact_hash ?? undefined,
    configHash: row.config_hash ?? undefined,
    startedAt: row.started_at ?? undefined,
    readyAt: row.ready_at ?? undefined,
    readyMs: row.ready_ms ?? undefined,
    lastExit: row.last_exit_at === null ? undefined : { code: row.last_exit_code, signal: row.last_exit_signal },
    lastExitAt: row.last_exit_at ?? undefined,
    restarts: row.restarts,
    nextRetryAt: row.next_retry_at ?? undefined,
    lastError: row.last_error ?? undefined,
    serving: row.serving,
    healthReason: row.health_reason ?? undefined,
    failuresInRow: row.failures_in_row,
    firstFailureAt: row.first_failure_at ?? undefined,
  }));
}

/**
 * Writes a service's row and, when its state changed, the event, in one statement under our epoch.
 * @returns false when the epoch is no longer ours; then nothing was written
 */
export async function writeService(
  db: Queryable,
  key: { readonly installationId: string; readonly epoch: number; readonly host: string },
  row: ServiceRow,
  transition: TransitionRow | undefined,
): Promise<boolean> {
  const written = await db.query(
    `WITH mine AS (
       SELECT epoch FROM supervisor_epoch WHERE installation_id = $1 AND epoch = $2 FOR SHARE
     ), row AS (
       INSERT INTO services AS s (installation_id, epoch, host, name, kind, desired, state, generation, instance_id, boot_id, pid,
         start_ticks, port, artefact_hash, config_hash, started_at, ready_at, ready_ms, last_exit_code, last_exit_signal,
         last_exit_at, restarts, next_retry_at, last_error, serving, health_reason, failures_in_row, first_failure_at)
       SELECT $1, mine.epoch, $3, $4, $5, $6, $7, $8, $9::uuid, $10, $11::integer, $12, $13::integer, $14, $15,
         $16::timestamptz, $17::timestamptz, $18::integer, $19::integer, $20, $21::timestamptz, $22::integer,
         $23::timestamptz, $24, $30::boolean, $31, $32::integer, $33::timestamptz
       FROM mine
       ON CONFLICT (installation_id, name) DO UPDATE SET epoch = excluded.epoch, host = excluded.host, kind = excluded.kind,
         desired = excluded.desired, state = excluded.state, generation = excluded.generation,
         instance_id = excluded.instance_id, boot_id = excluded.boot_id, pid = excluded.pid,
         start_ticks = excluded.start_ticks, port = excluded.port, artefact_hash = excluded.artefact_hash,
         config_hash = excluded.config_hash, started_at = excluded.started_at, ready_at = excluded.ready_at,
         ready_ms = excluded.ready_ms, last_exit_code = excluded.last_exit_code,
         last_exit_signal = excluded.last_exit_signal, last_exit_at = excluded.last_exit_at,
         restarts = excluded.restarts, next_retry_at = excluded.next_retry_at, last_error = excluded.last_error,
         serving = excluded.serving, health_reason = excluded.health_reason,
         failures_in_row = excluded.failures_in_row, first_failure_at = excluded.first_failure_at, updated_at = now()
       WHERE s.epoch <= excluded.epoch
     ), event AS (
       INSERT INTO service_events (installation_id, service, generation, instance_id, from_state, to_state, event, reason, pid,
         port, exit_code, exit_signal, epoch, at)
       SELECT $1, $4, $8, $9::uuid, $25, $26, $27, $28, $11::integer, $13::integer, $19::integer, $20, mine.epoch,
         $29::timestamptz
       FROM mine WHERE $25::text IS NOT NULL
     )
     SELECT 1 FROM mine`,
    [
      key.installationId,
      key.epoch,
      key.host,
      row.name,
      row.kind,
      row.desired,
      row.state,
      row.generation,
      row.instanceId ?? null,
      row.identity?.bootId ?? null,
      row.identity?.pid ?? null,
      row.identity?.startTicks ?? null,
      row.port ?? null,
      row.artefactHash ?? null,
      row.configHash ?? null,
      row.startedAt ?? null,
      row.readyAt ?? null,
      row.readyMs ?? null,
      row.lastExit?.code ?? null,
      row.lastExit?.signal ?? null,
      row.lastExitAt ?? null,
      row.restarts,
      row.nextRetryAt ?? null,
      row.lastError ?? null,
      ...stepValues(transition),
      ...healthValues(row),
    ],
  );
  return written.length === 1;
}

function stepValues(step: TransitionRow | undefined): unknown[] {
  return [step?.from, step?.to, step?.event, step?.reason, step?.at].map((value) => value ?? null);
}

function healthValues({ serving, healthReason, failuresInRow, firstFailureAt }: ServiceRow): unknown[] {
  return [serving, healthReason ?? null, failuresInRow, firstFailureAt ?? null];
}

/**
 * Writes an event that is about the installation as a whole. @returns false when the epoch is no longer ours
 * @param about what stands in the place of a service
 */
export async function writeEvent(
  db: Queryable,
  key: { readonly installationId: string; readonly epoch: number },
  about: string,
  event: TransitionRow,
): Promise<boolean> {
  const written = await db.query(
    `WITH mine AS (
       SELECT epoch FROM supervisor_epoch WHERE installation_id = $1 AND epoch = $2 FOR SHARE
     ), event AS (
       INSERT INTO service_events (installation_id, service, generation, from_state, to_state, event, reason, epoch, at)
       SELECT $1, $3, 0, $4, $5, $6, $7, mine.epoch, $8::timestamptz FROM mine
     )
     SELECT 1 FROM mine`,
    [key.installationId, key.epoch, about, ...stepValues(event)],
  );
  return written.length === 1;
}

/** Forgets a service that is no longer configured. @returns false when the epoch is no longer ours */
export async function dropService(
  db: Queryable,
  key: { readonly installationId: string; readonly epoch: number },
  name: string,
): Promise<boolean> {
  const written = await db.query(
    `WITH mine AS (
       SELECT epoch FROM supervisor_epoch WHERE installation_id = $1 AND epoch = $2 FOR SHARE
     ), gone AS (
       DELETE FROM services WHERE installation_id = $1 AND name = $3 AND EXISTS (SELECT 1 FROM mine)
     )
     SELECT 1 FROM mine`,
    [key.installationId, key.epoch, name],
  );
  return written.length === 1;
}

/** Gives the calls that an ended API process left open their outcome. */
export async function closeInterrupted(db: Queryable, apiInstance: ServiceInstanceId): Promise<void> {
  await db.query(`SELECT audit.close_interrupted($1)`, [apiInstance]);
}
