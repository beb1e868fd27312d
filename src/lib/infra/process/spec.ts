import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { ProbeConnection } from './probe-connection.ts';

export type ServiceKind = 'database' | 'api' | 'scheduler' | 'mcp' | 'agent';

/** How to run a process. There is no shell: `file` is executed with `args` as they are. */
export interface ProcessCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment of the child, without the instance markers, which the supervisor adds. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly uid?: number;
  readonly gid?: number;
  /** RLIMIT_NOFILE, soft and hard; Linux only. */
  readonly openFiles?: number;
  /** CPU niceness, -20 to 19. */
  readonly nice?: number;
}

/** How much a service may take up. */
export interface ResourceLimits {
  readonly memoryBytes?: number;
  readonly openFiles?: number;
  readonly nice?: number;
}

export interface ProbeContext {
  readonly instanceId: ServiceInstanceId;
  readonly pid: number;
  readonly port: number | undefined;
  /** Ends the check; whoever fires it closes the connection as well. */
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Over which this run is asked. One that is open reaches a process that no longer listens, too: a new one proves more. */
  readonly connection: ProbeConnection;
}

/** What a service that answered says of itself. */
export interface ReportedHealth {
  /** Whether it can serve for now; absent when it makes no difference between that and being alive. */
  readonly ready?: boolean;
  readonly reason?: string;
  readonly tools?: number;
  /** 99th percentile since the last check, in ms. */
  readonly eventLoopDelayMs?: number;
  /** Of an API process: the servers whose circuit breaker is not closed there. */
  readonly circuits?: Circuits;
}

/** By the name of the server. */
export type Circuits = Readonly<Record<string, 'half_open' | 'open'>>;

/** It is alive and the very run that was asked; whether it can serve is in `health`. */
export interface ReadyResult {
  readonly ready: true;
  readonly detail?: string;
  readonly health?: ReportedHealth;
}

interface NotReadyResult {
  readonly ready: false;
  readonly reason: string;
  /** Nobody listens there: whoever has to be asked again is no busy one. */
  readonly refused?: boolean;
}

export type ProbeResult = ReadyResult | NotReadyResult;

/** What the supervisor needs to know of one service. `prepare` runs before each start and may refuse it by throwing. */
export interface ServiceSpec {
  /** Unique, e.g. `database`, `api`, `mcp:systemprompt`. */
  readonly name: string;
  readonly kind: ServiceKind;
  /** Where the configuration names what is run, `file:line:column`, for its failures. */
  readonly configuredAt?: string;
  readonly dependsOn: readonly string[];
  /** Preferred port and the range to fall back to; absent when the service listens nowhere. A fixed port has no range. */
  readonly port?: {
    readonly preferred: number;
    readonly range?: readonly [number, number];
    /** Several runs of ours may listen on it at once (SO_REUSEPORT, Linux); `loopback`: on loopback addresses only. */
    readonly shared?: { readonly loopback: boolean };
  };
  /** A restart raises a successor beside the run that serves, which is ended only when that one is ready. */
  readonly handOver?: boolean;
  /** It keeps the size of its log itself; of any other the supervisor does. */
  readonly rotatesItsLog?: boolean;
  /** Digest of what is run; another digest means the running process is outdated. */
  readonly artefactHash: string;
  /** Digest of its configuration, likewise. */
  readonly configHash: string;
  prepare?(signal: AbortSignal): Promise<void>;
  command(run: {
    readonly instanceId: ServiceInstanceId;
    readonly port: number | undefined;
    /** It is to take the place of a run that serves. */
    readonly successor?: boolean;
  }): Promise<ProcessCommand>;
  probe(context: ProbeContext): Promise<ProbeResult>;
  /** Removes what a run that is over may have left outside of its process. */
  cleanUp?(instanceId: ServiceInstanceId): Promise<void>;
  /** Removes what runs that are on no record have left so, once at a boot. */
  sweep?(): Promise<void>;
  /** First signal of a stop (PostgreSQL takes SIGINT for a fast shutdown) and how long to wait before SIGKILL, in ms. */
  readonly stop: { readonly signal: NodeJS.Signals; readonly graceMs: number };
  /** How long a start may take before it counts as failed, in ms. */
  readonly readyTimeoutMs: number;
  readonly limits?: ResourceLimits;
}
