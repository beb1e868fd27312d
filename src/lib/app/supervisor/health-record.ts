import type { Circuits, ProbeResult, ReadyResult } from '../../infra/process/spec.ts';
import type { ServiceHealth, ServiceState } from './status.ts';

const latenciesKept = 60;

/** What the health checks of one service have found, over all runs that this supervisor has seen. */
export class HealthRecord {
  readonly #eventLoopBoundMs: number;
  #checks = 0;
  #failures = 0;
  #consecutive = 0;
  #firstFailureAt: Date | undefined;
  #failure: string | undefined;
  readonly #latencies: number[] = [];
  /** Why it takes no requests although it is alive; empty when it gave no reason. */
  #notReady: string | undefined;
  #tools: number | undefined;
  #eventLoopDelayMs: number | undefined;
  #circuits: Circuits | undefined;
  #state: ServiceState = 'stopped';
  #downMs = 0;
  #downSince: number | undefined;
  #hasServed = false;

  /** @param eventLoopBoundMs from which delay on it is a reason worth telling */
  constructor(eventLoopBoundMs: number) {
    this.#eventLoopBoundMs = eventLoopBoundMs;
  }

  /** Whether requests are to be routed to it. */
  get serving(): boolean {
    return this.#state === 'ready' && this.#notReady === undefined;
  }
  /** Misses up to now, without an answer in between. */
  get consecutive(): number {
    return this.#consecutive;
  }
  get firstFailureAt(): Date | undefined {
    return this.#firstFailureAt;
  }

  /** Why it does not serve, or what is wrong although it does. */
  get reason(): string | undefined {
    if (this.#notReady !== undefined) return this.#notReady === '' ? 'it says that it is not ready' : this.#notReady;
    if (this.#failure !== undefined) return this.#failure;
    const delay = this.#eventLoopDelayMs ?? 0;
    return delay > this.#eventLoopBoundMs ? `its event loop was held up for ${Math.round(delay)} ms` : undefined;
  }

  /** Another run begins, with the check that found it ready if there was one. */
  begin(result?: ReadyResult): void {
    this.#consecutive = 0;
    this.#firstFailureAt = undefined;
    this.#failure = undefined;
    this.#notReady = undefined;
    this.#tools = undefined;
    this.#eventLoopDelayMs = undefined;
    this.#circuits = undefined;
    if (result !== undefined) this.#take(result);
  }

  /** A check of a run that was ready is over. @param latencyMs how long it took */
  checked(result: ProbeResult, latencyMs: number): void {
    this.#checks += 1;
    if (!result.ready) {
      this.#failures += 1;
      this.#consecutive += 1;
      this.#firstFailureAt ??= new Date();
      this.#failure = result.reason;
      return;
    }
    this.#consecutive = 0;
    this.#firstFailureAt = undefined;
    this.#failure = undefined;
    this.#latencies.push(Math.round(latencyMs * 10) / 10);
    if (this.#latencies.length > latenciesKept) this.#latencies.shift();
    this.#take(result);
  }

  /** The run has to go for a reason that no check found. */
  blame(reason: string): void {
    this.#failure = reason;
  }

  #take({ health }: ReadyResult): void {
    this.#notReady = health?.ready === false ? (health.reason ?? '') : undefined;
    this.#tools = health?.tools;
    this.#eventLoopDelayMs = health?.eventLoopDelayMs;
    this.#circuits = health?.circuits;
  }

  /**
   * Keeps the account of downtime; called whenever the state or the readiness has changed.
   * @param wanted whether it is to run: what was stopped on purpose is not down
   * @param now on the monotonic clock, in ms
   */
  follow(state: ServiceState, wanted: boolean, now = performance.now()): void {
    this.#state = state;
    this.#hasServed ||= this.serving;
    // The first start is no downtime, unless it fails.
    const due = this.#hasServed || (state !== 'starting' && state !== 'stopped');
    const down = wanted && !this.serving && due;
    if (down) this.#downSince ??= now;
    else if (this.#downSince !== undefined) {
      this.#downMs += now - this.#downSince;
      this.#downSince = undefined;
    }
  }

  status(now = performance.now()): ServiceHealth {
    const { reason } = this;
    const latencyMs = this.#latencies.at(-1);
    const downtime = this.#downMs + (this.#downSince === undefined ? 0 : now - this.#downSince);
    return {
      serving: this.serving,
      ...(reason === undefined ? {} : { reason }),
      checks: this.#checks,
      failures: this.#failures,
      consecutive: this.#consecutive,
      ...(this.#firstFailureAt === undefined ? {} : { firstFailureAt: this.#firstFailureAt.toISOString() }),
      downtimeMs: Math.round(downtime),
      ...(latencyMs === undefined ? {} : { latencyMs }),
      latencies: [...this.#latencies],
      ...(this.#tools === undefined ? {} : { tools: this.#tools }),
      ...(this.#eventLoopDelayMs === undefined ? {} : { eventLoopDelayMs: this.#eventLoopDelayMs }),
      ...(this.#circuits === undefined ? {} : { circuits: this.#circuits }),
    };
  }
}
