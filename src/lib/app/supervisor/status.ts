import type { Circuits, ServiceKind } from '../../infra/process/spec.ts';
import type { ConfigIssue, ErrorCode } from '../../shared/errors.ts';
import type { WireError } from '../../shared/wire.ts';

// What travels over the control socket. Types only, so that the client stays light.

export type ServiceState = 'stopped' | 'starting' | 'ready' | 'unhealthy' | 'backoff' | 'stopping' | 'failed';

export interface LastExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What the checks of a service have found since this supervisor began. Durations are in milliseconds. */
export interface ServiceHealth {
  /** Whether requests are routed to it. A service may be alive and say of itself that it can't serve for now. */
  readonly serving: boolean;
  /** Why it does not serve, or what is wrong although it does. */
  readonly reason?: string;
  /** Checks made of what was ready, those that failed, and how many of them in a row up to now. */
  readonly checks: number;
  readonly failures: number;
  readonly consecutive: number;
  /** When the present row of failures began; ISO 8601, UTC. */
  readonly firstFailureAt?: string;
  /** How long it did not serve although it should have, since this supervisor began. */
  readonly downtimeMs: number;
  /** How long the last check took, and the last 60, oldest first. */
  readonly latencyMs?: number;
  readonly latencies: readonly number[];
  /** How many tools it offers. */
  readonly tools?: number;
  /** 99th percentile of the delay of its event loop since the check before. */
  readonly eventLoopDelayMs?: number;
  /** Of an API process: the MCP servers whose circuit breaker was not closed there at the last check. */
  readonly circuits?: Circuits;
}

/** What the processes of a service take up, and how much they may. */
export interface ServiceResources {
  /** Resident memory of the process and all that it started. */
  readonly rssBytes: number;
  /** Of one core, since the sample before. */
  readonly cpuPercent?: number;
  readonly openFiles?: number;
  readonly limits?: { readonly memoryBytes?: number; readonly openFiles?: number; readonly nice?: number };
}

/** A run that lives beside the one on record during a hand-over: the successor on its way, or the predecessor that is drained. */
export interface RunBeside {
  readonly pid: number;
  readonly instanceId: string;
  readonly port?: number;
}

export interface ServiceStatus {
  readonly name: string;
  readonly kind: ServiceKind;
  readonly state: ServiceState;
  readonly pid?: number;
  readonly port?: number;
  /** Id of this run of the service. */
  readonly instanceId?: string;
  /** Id of the last run, also when it has ended; absent while the present start has none yet. */
  readonly lastInstanceId?: string;
  /** How often it was started, over all supervisors. */
  readonly generation: number;
  /** How often it was restarted without anybody asking, since it was last started on purpose. */
  readonly restarts: number;
  /** It was found running by this supervisor, not started by it. */
  readonly adopted?: boolean;
  readonly beside?: readonly RunBeside[];
  /** ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly readyAt?: string;
  /** From spawn to ready, in ms. */
  readonly readyMs?: number;
  readonly nextRetryAt?: string;
  /** How its process last ended; null when it ended unseen. */
  readonly lastExit?: LastExit | null;
  readonly lastError?: string;
  /** The code of the last error, when it has one. */
  readonly lastErrorCode?: ErrorCode;
  readonly lastLog?: string;
  /** The last lines of a service that has failed; each as it stands in the file, secrets blanked. */
  readonly log?: readonly string[];
  /** What its health check has to say to people. */
  readonly detail?: string;
  readonly health?: ServiceHealth;
  readonly resources?: ServiceResources;
}

/** How far the boot is; `failed` means that the supervisor is about to end. */
export type BootState = 'booting' | 'running' | 'failed' | 'stopping';

/** The configuration that the supervisor goes by. */
export interface ConfigurationStatus {
  readonly valid: boolean;
  /** Since when it is so, ISO 8601. */
  readonly since: string;
  /** Why it is invalid: what runs is watched, nothing is started until a reconcile or a start finds it mended. */
  readonly error?: WireError;
  readonly issues?: readonly ConfigIssue[];
}

/** How the files on disk stand to the configuration in force. */
export interface FilesStatus {
  /**
   * `current`: in force; `pending`: a change is valid and waits for a reconcile; `invalid`: refused, with the findings;
   * `refused`: valid by itself, but something else stands against it.
   */
  readonly state: 'current' | 'pending' | 'invalid' | 'refused';
  /** Since when it is so, ISO 8601. */
  readonly since: string;
  readonly issues?: readonly ConfigIssue[];
  readonly error?: WireError;
  /** What is pending. */
  readonly steps?: readonly ReconcileStep[];
}

/**
 * One step of a reconcile. `adopt`: taken over as it runs (at boot); `keep`: left as it is; `start`; `replace`: another run is
 * put in its place; `end`: its process is ended; `clear`: its row is about a process that is gone; `drop`: it is forgotten.
 */
export interface ReconcileStep {
  readonly kind: 'adopt' | 'keep' | 'start' | 'replace' | 'end' | 'clear' | 'drop';
  readonly name: string;
  /** For people. */
  readonly reason: string;
}

/** What a reconcile found and did, or with `dryRun` would do. */
export interface ReconcileResult {
  /** False: nothing was changed. */
  readonly valid: boolean;
  /** The steps were only found out. */
  readonly dryRun?: boolean;
  readonly issues?: readonly ConfigIssue[];
  readonly steps: readonly ReconcileStep[];
  /** How they are now. */
  readonly services: readonly ServiceStatus[];
  /** Names of those that are to run and are not ready, or go on in their old form since their successor failed. */
  readonly failed: readonly string[];
}

export interface InstanceStatus {
  /** Id of the installation. */
  readonly instanceId: string;
  readonly root: string;
  readonly profile: string;
  readonly supervisor: {
    readonly pid: number;
    readonly version: string;
    /** 0 until the database has given one. */
    readonly epoch: number;
    readonly startedAt: string;
    readonly state: BootState;
    /** Resident memory, in bytes. */
    readonly rss: number;
    /** False while the database is away: nothing is started or ended until it is back. */
    readonly acting: boolean;
    /** How far the system's clock was moved since the supervisor began, in ms: negative when it was set back. */
    readonly clockShiftMs?: number;
    /** Whether the configuration that was last read for good is in force. */
    readonly configuration?: ConfigurationStatus;
    /** Whether it is what the files say by now; absent until they have been looked at. */
    readonly files?: FilesStatus;
    /** What the operator should know of where it runs. */
    readonly warnings?: readonly string[];
  };
  readonly url: string;
  readonly services: readonly ServiceStatus[];
  readonly phases: readonly { readonly name: string; readonly ms: number }[];
}

interface EventBase {
  /** Counts from 1 over the life of a supervisor. */
  readonly seq: number;
  readonly at: string;
}

export type SupervisorEvent = EventBase &
  (
    | {
        readonly type: 'transition';
        readonly service: string;
        readonly from: ServiceState;
        readonly to: ServiceState;
        readonly event: string;
        readonly reason?: string;
        readonly status: ServiceStatus;
      }
    | {
        readonly type: 'log';
        readonly level: 'info' | 'warn' | 'error';
        readonly message: string;
        readonly service?: string;
      }
    | { readonly type: 'phase'; readonly name: string; readonly ms: number }
    /** The boot is over and every service has come to rest; `failed` names those that are not ready. */
    | {
        readonly type: 'ready';
        readonly ms: number;
        readonly failed: readonly string[];
        /** Why the configuration was refused: what ran was taken over, and nothing was started. */
        readonly refused?: WireError;
      }
    /** The files were read again: what they say, and the steps that were taken (or, while it is pending, would be). */
    | {
        readonly type: 'configuration';
        readonly state: FilesStatus['state'];
        readonly steps: readonly ReconcileStep[];
        readonly failed: readonly string[];
        readonly issues?: readonly ConfigIssue[];
        readonly error?: WireError;
      }
    /** Nothing was started, or what was started is being stopped again; the supervisor ends. */
    | { readonly type: 'boot_failed'; readonly error: WireError }
    | { readonly type: 'stopping'; readonly now: boolean }
    | { readonly type: 'stopped' }
  );

export type SupervisorEventBody = SupervisorEvent extends infer E
  ? E extends EventBase
    ? Omit<E, 'seq' | 'at'>
    : never
  : never;

/** What start, stop and restart answer. */
export interface ServicesResult {
  readonly services: readonly ServiceStatus[];
  /** Names of those that are not what was asked for. */
  readonly failed: readonly string[];
  /** Those of the failed for which a contrary order came meanwhile: that one counts. */
  readonly overtaken?: readonly string[];
  /** What the names and kinds of the order came to; absent when it was about everything. */
  readonly named?: readonly string[];
  /** As asked for before the order came. */
  readonly already?: readonly string[];
  /** Not there yet: the order did not wait for them. */
  readonly pending?: readonly string[];
  /** What stands on a service that was restarted, and was not restarted itself. */
  readonly dependents?: readonly string[];
  /** The last lines of output of those that failed, and of successors that did, by service. */
  readonly lines?: Readonly<Record<string, readonly string[]>>;
}

/** One line of a service's output. */
export interface ServiceLogLine {
  readonly service: string;
  /** Id of the run; `supervisor` for the supervisor's own lines. */
  readonly instanceId: string;
  /** ISO 8601, UTC; absent when the line does not say, or in a form that is not known. */
  readonly time?: string;
  readonly level?: string;
  /** `stdout` or `stderr`: printed by an extension, not by us. */
  readonly stream?: string;
  readonly msg: string;
  /** As it stands in the file, secrets blanked. */
  readonly line: string;
}
