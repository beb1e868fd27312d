import { hostname } from 'node:os';
import type { DatabaseRecordFile } from './database-record.ts';
import type { Recorder } from './recorder.ts';
import { type ServiceRow, writeService } from './repository.ts';
import type { StateChange, SupervisedService, SupervisorLog } from './service-host.ts';

/** Puts every change of a service on record: as a row, and for the database's own process in its file as well. */
export class Bookkeeping {
  readonly #installationId: string;
  readonly #recorder: Recorder;
  readonly #file: DatabaseRecordFile;
  readonly #log: SupervisorLog;
  /** Services that somebody stopped by name: another supervisor is to leave them so. */
  readonly stoppedOnPurpose = new Set<string>();

  constructor(installationId: string, recorder: Recorder, file: DatabaseRecordFile, log: SupervisorLog) {
    this.#installationId = installationId;
    this.#recorder = recorder;
    this.#file = file;
    this.#log = log;
  }

  record(service: SupervisedService, change?: StateChange): void {
    if (service.spec.kind === 'database') this.#keep(service);
    this.#write(this.#rowOf(service), change);
  }

  /** What is true of the database once it has been stopped, said while it can still be told. */
  recordStopped(service: SupervisedService): void {
    this.#write({ ...this.#rowOf(service), state: 'stopped', identity: undefined, port: undefined });
  }

  #keep({ process: known, generation, facts }: SupervisedService): void {
    const kept = known === undefined ? undefined : { ...known, readyAt: facts.readyAt, readyMs: facts.readyMs };
    this.#file.write({ generation, process: kept }).catch((error: unknown) => {
      this.#log.error({ err: error }, "the database's process could not be put on record");
    });
  }

  #write(row: ServiceRow, change?: StateChange): void {
    const transition = change === undefined ? undefined : { ...change, at: new Date() };
    const host = hostname();
    this.#recorder.write((db, epoch) =>
      writeService(db, { installationId: this.#installationId, epoch, host }, row, transition),
    );
  }

  #rowOf(service: SupervisedService): ServiceRow {
    const { process: known, facts, spec, health } = service;
    return {
      name: service.name,
      kind: spec.kind,
      desired: this.stoppedOnPurpose.has(service.name) ? 'stopped' : 'running',
      state: service.state,
      generation: service.generation,
      instanceId: known?.instanceId,
      identity: known?.identity,
      port: known?.port,
      artefactHash: known?.artefactHash,
      configHash: known?.configHash,
      startedAt: known?.startedAt,
      readyAt: facts.readyAt,
      readyMs: facts.readyMs,
      lastExit: facts.lastExit ?? undefined,
      lastExitAt: facts.lastExitAt,
      restarts: facts.restarts,
      nextRetryAt: facts.nextRetryAt,
      lastError: facts.lastError,
      serving: health.serving,
      healthReason: health.reason,
      failuresInRow: health.consecutive,
      firstFailureAt: health.firstFailureAt,
    };
  }
}
