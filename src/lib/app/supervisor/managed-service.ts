import type { ReadyResult, ServiceSpec } from '../../infra/process/spec.ts';
import { AppError, type ErrorCode } from '../../shared/errors.ts';
import { HandOver } from './hand-over.ts';
import { HealthRecord } from './health-record.ts';
import { launchFailureIsFinal } from './launch-failure.ts';
import { initialState, type MachineEvent, type MachineState, transition } from './machine.ts';
import { untilReady, watchHealth } from './probing.ts';
import { ResourceRecord } from './resource-record.ts';
import { configurationExitCode, Restarts, type Verdict } from './restarts.ts';
import type { ProcessRecord, Run } from './run.ts';
import type { Facts, ServiceHost, StopOptions, SupervisedService } from './service-host.ts';
import { ServiceProcess } from './service-process.ts';
import { configurationFault, describeExit, statusOf, unkillable } from './service-status.ts';
import type { ServiceState, ServiceStatus } from './status.ts';
import type { NotRaised } from './successor.ts';

/** Carries one service through its states: what the machine allows, this does. */
export class ManagedService implements SupervisedService {
  #spec: ServiceSpec;
  readonly #host: ServiceHost;
  readonly #restarts: Restarts;
  readonly #process: ServiceProcess;
  readonly #handOver: HandOver;
  #state: MachineState = initialState;
  #desired: 'running' | 'stopped' = 'running';
  #restartCount = 0;
  /** What its health checks find, from run to run. */
  readonly health: HealthRecord;
  readonly resources: ResourceRecord;
  #facts: Facts = {};
  #readySince: number | undefined;
  /** The form in which it was last ready, see {@link formOf}. */
  #proven: string | undefined;
  /** Aborted when the current start is over, whatever became of it. */
  #stage = new AbortController();
  #work: Promise<void> = Promise.resolve();
  #stopOptions: StopOptions = {};
  readonly #waiters = new Set<() => void>();

  constructor(spec: ServiceSpec, host: ServiceHost) {
    this.#spec = spec;
    this.#host = host;
    this.#restarts = new Restarts(host.policy);
    this.health = new HealthRecord(host.policy.eventLoopDelayMs);
    this.resources = new ResourceRecord(() => this.#spec.limits);
    this.#process = new ServiceProcess(this, host);
    this.#handOver = new HandOver(this, this.#process, host);
  }

  /** What its next run is started from. */
  get spec(): ServiceSpec {
    return this.#spec;
  }
  get name(): string {
    return this.spec.name;
  }
  get dependsOn(): readonly string[] {
    return this.spec.dependsOn;
  }
  get state(): ServiceState {
    return this.#state.name;
  }
  get generation(): number {
    return this.#state.generation;
  }
  get desired(): 'running' | 'stopped' {
    return this.#desired;
  }
  /** The process on record, while there is one. */
  get process(): ProcessRecord | undefined {
    return this.#process.run?.record;
  }
  /** Of the last run. */
  get logFile(): string | undefined {
    return this.#process.logFile;
  }
  get facts(): Readonly<Facts> & { readonly restarts: number } {
    return { ...this.#facts, restarts: this.#restartCount };
  }

  /** From the next run on it is started from this; the run of now goes on as it is. */
  respec(spec: ServiceSpec): void {
    this.#spec = spec;
  }

  /** Continues the count of starts where an earlier supervisor left it. */
  restore(generation: number, desired: 'running' | 'stopped'): void {
    this.#state = { ...this.#state, generation };
    this.#desired = desired;
  }

  /** Takes over a healthy process of an earlier supervisor. */
  adopt(
    record: ProcessRecord,
    known: { readonly readyAt: Date | undefined; readonly readyMs: number | undefined },
  ): void {
    this.#desired = 'running';
    this.#stage = new AbortController();
    this.#proven = formOf(record);
    void this.#watchExit(this.#process.adopt(record), this.generation);
    this.#facts = { readyAt: known.readyAt, readyMs: known.readyMs };
    this.#apply({ type: 'adopt' }, 'it was running and healthy');
  }

  /** Starts it unless it runs; resolves when it is ready or has failed. */
  start(): Promise<void> {
    this.#desired = 'running';
    this.#begin();
    return this.settled();
  }

  /** Stops it; resolves when its process is gone or has proved unkillable. */
  stop(options: StopOptions = {}): Promise<void> {
    this.#desired = 'stopped';
    this.#stopOptions = options;
    if (options.now !== undefined) this.#handOver.hurry(options.now);
    this.#apply({ type: 'stop' });
    return this.settled();
  }

  /**
   * Puts another run in its place: where the service can, one that is ready beside the old one before that is ended; else
   * one that starts when the old one has ended. Resolves when it is ready or has failed, and the old one is gone.
   * @returns why the old run goes on serving, when no successor became ready
   */
  async restart(): Promise<NotRaised | undefined> {
    const { generation } = this;
    if (this.spec.handOver !== true || this.state !== 'ready') {
      void this.stop();
      await this.start();
      return undefined;
    }
    this.#desired = 'running';
    const failure = await this.#handOver.run(() => this.#succeed());
    if (failure !== undefined && this.state === 'ready' && this.generation === generation) {
      this.leave(`its successor was given up, the old process goes on: ${failure.reason}`, failure.code);
    }
    return failure;
  }

  /** Goes on as it is, although something else was ordered. */
  leave(reason: string, code?: ErrorCode): void {
    this.#facts.lastError = reason;
    this.#facts.lastErrorCode = code;
    this.#host.said(this, 'warn', reason);
    this.#host.changed(this);
  }

  /** What was said of it while it went on is over: it was found to be as it is configured. */
  vindicate(): void {
    if (this.state !== 'ready' || this.#facts.lastError === undefined) return;
    this.#facts.lastError = undefined;
    this.#facts.lastErrorCode = undefined;
    this.#host.changed(this);
  }

  /** Gives up before the first try, for a reason outside of the service. */
  refuse(reason: string): void {
    this.#desired = 'running';
    // What has a run goes its own way: given up, it would live on with nobody to watch it.
    if (this.#begin()) this.#giveUp(reason, this.generation);
  }

  /** Resolves when what was under way has ended, the clearing away of leftovers too. */
  async quiet(): Promise<void> {
    await this.#work;
    await this.#handOver.over();
    await this.#process.cleared;
  }

  /** Resolves when nothing more happens by itself. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.state !== 'failed' && this.state !== (this.#desired === 'running' ? 'ready' : 'stopped')) return;
        this.#waiters.delete(look);
        resolve();
      };
      this.#waiters.add(look);
      look();
    });
  }

  status(): ServiceStatus {
    return statusOf(this, this.#process.run, this.logFile, this.#process.beside);
  }

  /** A start that somebody asked for: what went wrong before is forgiven. @returns whether one was due */
  #begin(): boolean {
    if (this.state !== 'failed' && this.state !== 'backoff' && this.state !== 'stopped') return false;
    this.#restarts.reset();
    this.#restartCount = 0;
    return this.#apply({ type: 'start' });
  }

  #apply(event: MachineEvent, reason?: string): boolean {
    const next = transition(this.#state, event);
    if (next === undefined) return false;
    const from = this.#state;
    this.#state = next;
    this.health.follow(next.name, this.#desired === 'running');
    this.#enter(from, next);
    this.#host.changed(this, { from: from.name, to: next.name, event: event.type, reason });
    for (const look of [...this.#waiters]) look();
    return true;
  }

  #enter(from: MachineState, { name, generation }: MachineState): void {
    if (name !== 'ready' && name !== 'unhealthy' && name !== 'backoff') this.#handOver.abandon();
    if (name === 'starting') {
      this.#stage.abort();
      this.#stage = new AbortController();
      this.#facts = { lastExit: this.#facts.lastExit, lastExitAt: this.#facts.lastExitAt };
      this.#readySince = undefined;
      this.#process.forgetOutput();
      this.health.begin();
      this.resources.begin();
      this.#work = this.#launch(generation, this.#stage.signal);
    } else if (name === 'ready' && (from.name !== 'unhealthy' || from.generation !== generation)) {
      this.#readySince = performance.now();
      this.#watchHealth(generation);
    } else if (name === 'stopping') {
      this.#stage.abort();
      this.#work = this.#stopRun(generation, this.#work);
    } else if (name === 'stopped' || name === 'failed') {
      this.#stage.abort();
      this.#facts.nextRetryAt = undefined;
    }
  }

  async #launch(generation: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#handOver.raised;
      await this.#process.cleared;
      await this.#host.mayAct(this, signal);
      signal.throwIfAborted();
      // A process that outlived SIGKILL once may have gone since; beside it none is started.
      const survivors = await this.#process.end(this.#process.run);
      if (survivors.length > 0) return this.#giveUp(unkillable(survivors), generation);
      const run = await this.#process.spawn(signal);
      void this.#watchExit(run, generation);
      this.#host.changed(this);
      const paused = (): boolean => !this.#host.acting(this);
      const result = await untilReady(this.spec, run, this.#host.policy, signal, paused);
      if (result.ready) {
        await this.#host.verifyPort(this, signal).catch(async (error: unknown) => {
          await this.#process.end(run);
          throw error;
        });
        this.#becameReady(run, result);
        this.#apply({ type: 'healthy', generation });
        return;
      }
      // Never ready by the clock alone: what did not answer is ended.
      await this.#host.mayAct(this, signal);
      await this.#process.end(run);
      const late = `it was not ready within ${this.spec.readyTimeoutMs} ms: ${result.reason}`;
      // What was started on purpose has failed; what had been ready in this form and fell may only need another try.
      if (this.#restartCount === 0 || this.#proven !== formOf(run.record)) this.#giveUp(late, generation, 'TIMEOUT');
      else this.#retryLater(late, generation, 'TIMEOUT', this.#restarts.late());
    } catch (error) {
      if (signal.aborted) return; // somebody else decided what comes next
      this.#launchFailed(error, generation);
    }
  }

  #becameReady(run: Run, found: ReadyResult): void {
    this.#proven = formOf(run.record);
    this.#restarts.ready();
    this.#facts.detail = found.detail;
    this.health.begin(found);
    this.resources.begin();
    this.#facts.readyAt = new Date();
    this.#facts.readyMs = Math.round(performance.now() - run.startedAt);
  }

  /**
   * A successor is wanted for the run that serves now, and for no other.
   * @param reason why, when nobody asked for it: then it counts as a restart
   */
  #succeed(reason?: string): ((run: Run, found: ReadyResult) => Run | undefined | false) | undefined {
    if (this.state !== 'ready') return undefined;
    const { generation } = this;
    return (run, found) => {
      if (transition(this.#state, { type: 'replaced', generation }) === undefined) return false;
      const predecessor = this.#process.promote(run);
      this.#stage.abort();
      this.#stage = new AbortController();
      this.#restarts.reset();
      this.#restartCount = reason === undefined ? 0 : this.#restartCount + 1;
      this.#facts = { lastExit: this.#facts.lastExit, lastExitAt: this.#facts.lastExitAt };
      this.#becameReady(run, found);
      this.#apply({ type: 'replaced', generation }, reason);
      void this.#watchExit(run, this.generation);
      return predecessor;
    };
  }

  #launchFailed(error: unknown, generation: number): void {
    const code = error instanceof AppError ? error.code : undefined;
    const reason = error instanceof Error ? error.message : String(error);
    if (launchFailureIsFinal(error)) this.#giveUp(reason, generation, code);
    else this.#retryLater(reason, generation, code, this.#restarts.notStarted());
  }

  #giveUp(reason: string, generation: number, code?: ErrorCode): void {
    this.#facts.lastError = reason;
    this.#facts.lastErrorCode = code;
    this.#apply({ type: 'gave_up', generation }, reason);
  }

  #retryLater(reason: string, generation: number, code?: ErrorCode, known?: Verdict): void {
    if (this.state === 'stopping' || generation !== this.generation) return;
    const verdict = known ?? this.#restarts.died(performance.now(), this.#readySince);
    if ('giveUp' in verdict) {
      this.#giveUp(`${reason}; ${verdict.giveUp}`, generation, code);
      return;
    }
    this.#stage.abort();
    this.#facts.lastError = reason;
    this.#facts.lastErrorCode = code;
    this.#facts.nextRetryAt = new Date(Date.now() + verdict.retryInMs);
    this.#apply({ type: 'died', generation }, reason);
    setTimeout(async () => {
      // A successor that was on its way when this run died ends the pause when it is ready.
      await this.#handOver.raised;
      if (this.generation === generation && this.state === 'backoff') this.#restartCount += 1;
      this.#apply({ type: 'retry', generation });
    }, verdict.retryInMs);
  }

  async #watchExit(run: Run, generation: number): Promise<void> {
    const exit = await run.exited;
    this.#facts.lastExit = exit;
    this.#facts.lastExitAt = new Date();
    if (this.state === 'stopping' || this.#process.isOver(run)) return;
    // The leader is gone; what it started may not be.
    void this.#process.clear(run, this.#host.mayAct(this));
    if (exit?.code === configurationExitCode) {
      this.#giveUp(configurationFault(this.spec, run.logFile), generation, 'CONFIG_INVALID');
    } else {
      this.#retryLater(`its process ${describeExit(exit)}`, generation);
    }
  }

  #watchHealth(generation: number): void {
    const { run } = this.#process;
    if (run === undefined) return;
    const { signal } = this.#stage;
    const { spec, health } = this;
    const { policy, timetable, sampler } = this.#host;
    const limited = (): boolean => this.#spec.limits?.memoryBytes !== undefined;
    sampler.watch({ ...run.record, limited }, signal, (use) => {
      const reason = this.resources.sampled(use);
      if (reason !== undefined) void this.#overLimit(run, generation, reason);
    });
    const turned = (healthy: boolean, reason: string): void => {
      if (healthy) this.#apply({ type: 'healthy', generation });
      else if (this.#apply({ type: 'unhealthy', generation }, reason)) void this.#endSick(run, generation, reason);
    };
    const noticed = (servingTurned: boolean): void => {
      const { name } = this.#state;
      health.follow(name, this.#desired === 'running');
      const event = health.serving ? 'serving' : 'not_serving';
      this.#host.changed(this, servingTurned ? { from: name, to: name, event, reason: health.reason } : undefined);
    };
    watchHealth({ spec, run, policy, timetable, record: health, turned, noticed }, signal).catch((error: unknown) => {
      // Without a watch nobody would notice that it hangs: anything but the stage's end is a fault of ours.
      if (!signal.aborted) throw error;
    });
  }

  /**
   * Restarts a run that takes up too much: without a gap when it lasted a while, else after a pause that grows, so that one
   * that is over its limit from the start does not go round and round.
   */
  async #overLimit(run: Run, generation: number, reason: string): Promise<void> {
    this.#host.said(this, 'warn', reason);
    const lasted = performance.now() - (this.#readySince ?? 0) >= this.#host.policy.resetAfterReadyMs;
    if (lasted && this.spec.handOver === true && this.state === 'ready') {
      const failure = await this.#handOver.run(() => this.#succeed(reason));
      if (failure === undefined) return;
    }
    this.health.blame(reason);
    if (this.#apply({ type: 'unhealthy', generation }, reason)) void this.#endSick(run, generation, reason);
  }

  /** Ends a run that no longer answers; another is started after a pause. */
  async #endSick(run: Run, generation: number, reason: string): Promise<void> {
    try {
      await this.#host.mayAct(this, this.#stage.signal);
    } catch {
      return; // stopped, died or recovered meanwhile
    }
    if (this.state !== 'unhealthy' || this.generation !== generation) return;
    this.#stage.abort();
    await this.#process.clear(run);
    this.#retryLater(reason, generation);
  }

  async #stopRun(generation: number, before: Promise<void>): Promise<void> {
    const options = this.#stopOptions;
    await before;
    await this.#handOver.over();
    await this.#process.cleared;
    await this.#host.mayAct(this);
    const survivors = await this.#process.endAll(options);
    if (survivors.length > 0) {
      this.#giveUp(unkillable(survivors), generation);
      return;
    }
    this.#apply({ type: 'gone', generation });
    if (this.#desired === 'running') this.#begin();
  }
}

/** What a run was started from. */
function formOf({ artefactHash, configHash }: Pick<ProcessRecord, 'artefactHash' | 'configHash'>): string {
  return `${artefactHash} ${configHash}`;
}
