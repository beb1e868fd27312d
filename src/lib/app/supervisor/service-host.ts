import type { ExitPoll } from '../../infra/process/exit-poll.ts';
import type { ResourceSampler } from '../../infra/process/resource-sampler.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import type { Termination } from '../../infra/process/terminate.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { HealthRecord } from './health-record.ts';
import type { MachineEvent } from './machine.ts';
import type { SupervisionPolicy } from './policy.ts';
import type { ResourceRecord } from './resource-record.ts';
import type { Installation, ProcessRecord } from './run.ts';
import type { LastExit, ServiceState, ServiceStatus } from './status.ts';
import type { Timetable } from './timetable.ts';

/** What is known of a service's last run, beside its process. */
export interface Facts {
  readyAt?: Date | undefined;
  readyMs?: number | undefined;
  detail?: string | undefined;
  nextRetryAt?: Date | undefined;
  lastExit?: LastExit | null | undefined;
  lastExitAt?: Date | undefined;
  lastError?: string | undefined;
  lastErrorCode?: ErrorCode | undefined;
}

/** A service, as its supervisor sees it. */
export interface SupervisedService {
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly state: ServiceState;
  readonly generation: number;
  /** The process on record, while there is one. */
  readonly process: ProcessRecord | undefined;
  readonly facts: Readonly<Facts> & { readonly restarts: number };
  readonly health: HealthRecord;
  readonly resources: ResourceRecord;
  status(): ServiceStatus;
}

/** What a service needs of the supervisor that it belongs to. */
export interface ServiceHost {
  readonly installation: Installation;
  readonly policy: SupervisionPolicy;
  /** For all that is done again and again. */
  readonly timetable: Timetable;
  readonly sampler: ResourceSampler;
  /** Tells when adopted processes end. */
  readonly exits: ExitPoll;
  /** Resolves when processes may be started and ended on the supervisor's own account. */
  mayAct(service: SupervisedService, signal?: AbortSignal): Promise<void>;
  /** False while {@link mayAct} would wait. */
  acting(service: SupervisedService): boolean;
  /** Chooses and reserves a port until the service's next choice. */
  claimPort(service: SupervisedService, signal: AbortSignal): Promise<number | undefined>;
  /** Something worth a record has changed; `change` is absent when the state is the same. */
  changed(service: SupervisedService, change?: StateChange): void;
  /**
   * After a run has bound a port that several may share: makes sure that all who listen there are ours.
   * @throws PortTakenError naming the stranger
   */
  verifyPort(service: SupervisedService, signal: AbortSignal): Promise<void>;
  /** Resolves when all that {@link changed} was told is committed, and whoever routes to the service has had time to hear of it. */
  announced(service: SupervisedService, signal: AbortSignal): Promise<void>;
  /** Something worth telling that changes no state. */
  said(service: SupervisedService, level: 'info' | 'warn' | 'error', message: string): void;
  /** A run is about to be executed, or was taken over. */
  begun(instanceId: ServiceInstanceId): void;
  /** It could not be executed: there is no such run. */
  notBegun(service: SupervisedService, run: Pick<ProcessRecord, 'instanceId' | 'port'>): void;
  /**
   * Ends what of the service still listens on the port of a run that was ended; names a stranger and leaves him alone.
   * @returns the pids that even SIGKILL did not end
   */
  clearPort(service: SupervisedService, run: ProcessRecord, how: Termination): Promise<readonly number[]>;
  /** A run is over: its process and all that it left behind are gone. */
  ended(service: SupervisedService, run: ProcessRecord): Promise<void>;
}

export interface StateChange {
  readonly from: ServiceState;
  readonly to: ServiceState;
  /** `serving` and `not_serving` leave the state as it is. */
  readonly event: MachineEvent['type'] | 'serving' | 'not_serving';
  readonly reason: string | undefined;
}

/** How to end a run on order: with less grace than the service is due, and with a signal that cuts it short. */
export interface StopOptions {
  readonly graceMs?: number;
  readonly now?: AbortSignal;
}

/** What the supervisor writes about itself; pino's methods fit. */
export interface SupervisorLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}
