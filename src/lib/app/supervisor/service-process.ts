import { setTimeout as delay } from 'node:timers/promises';
import { pastShortage } from '../../infra/process/shortage.ts';
import type { Termination } from '../../infra/process/terminate.ts';
import { newId, type ServiceInstanceId } from '../../shared/ids.ts';
import { type ProcessRecord, Run } from './run.ts';
import type { ServiceHost, StopOptions, SupervisedService } from './service-host.ts';

/**
 * The processes of one service: one run on record, each ended with all that it started; and during a hand-over a second
 * one beside it, the successor before it takes the place, the predecessor after.
 */
export class ServiceProcess {
  readonly #service: SupervisedService;
  readonly #host: ServiceHost;
  #run: Run | undefined;
  readonly #beside = new Set<Run>();
  /** Runs that we are ending ourselves: their exit is no death. */
  readonly #ending = new WeakSet<Run>();
  #leftovers: Promise<unknown> = Promise.resolve();
  #logFile: string | undefined;

  constructor(service: SupervisedService, host: ServiceHost) {
    this.#service = service;
    this.#host = host;
  }

  /** While there is a process on record, its run. */
  get run(): Run | undefined {
    return this.#run;
  }
  /** Runs that live beside the one on record. */
  get beside(): readonly Run[] {
    return [...this.#beside];
  }
  /** Of the last run; none while a start has not come to one. */
  get logFile(): string | undefined {
    return this.#logFile;
  }
  /** Resolves when the clearing away of leftovers has ended. */
  get cleared(): Promise<unknown> {
    return this.#leftovers;
  }

  /** What comes is another start: the output of the last run says nothing of it. */
  forgetOutput(): void {
    this.#logFile = undefined;
  }

  /** Takes over the process of an earlier supervisor. */
  adopt(record: ProcessRecord): Run {
    const { installation, exits } = this.#host;
    this.#host.begun(record.instanceId);
    return this.#hold(Run.adopt(installation, this.#service.name, record, exits));
  }

  /** @throws what preparing, choosing a port and executing throw; the signal's reason */
  async spawn(signal: AbortSignal): Promise<Run> {
    return this.#hold(await this.#execute(signal, false));
  }

  /**
   * Starts a successor beside the run on record.
   * @throws as {@link spawn}
   */
  async spawnBeside(signal: AbortSignal): Promise<Run> {
    const run = await this.#execute(signal, true);
    this.#beside.add(run);
    return run;
  }

  /** Puts a successor on record. @returns the run whose place it took; it is still to be ended */
  promote(successor: Run): Run | undefined {
    const predecessor = this.#run;
    this.#beside.delete(successor);
    if (predecessor !== undefined) this.#beside.add(predecessor);
    this.#hold(successor);
    return predecessor;
  }

  /** Whether the run's exit is expected: we end it, or it is no longer the one on record. */
  isOver(run: Run): boolean {
    return this.#ending.has(run) || this.#run !== run;
  }

  /** Ends a run that is dead or sick, at once or when `allowed`; {@link cleared} waits for it. */
  clear(run: Run, allowed?: Promise<void>): Promise<unknown> {
    this.#leftovers = allowed === undefined ? this.end(run) : allowed.then(() => this.end(run));
    return this.#leftovers;
  }

  /** Ends every run that is there. @returns the pids that even SIGKILL did not end */
  async endAll(options: StopOptions = {}): Promise<readonly number[]> {
    const runs = [...(this.#run === undefined ? [] : [this.#run]), ...this.#beside];
    return (await Promise.all(runs.map((run) => this.end(run, options)))).flat();
  }

  /** Ends a run and all that it started. @returns the pids that even SIGKILL did not end */
  async end(run: Run | undefined, options: StopOptions = {}): Promise<readonly number[]> {
    if (run === undefined) return [];
    this.#ending.add(run);
    const { stop } = this.#service.spec;
    const how: Termination = {
      signal: stop.signal,
      graceMs: Math.min(stop.graceMs, options.graceMs ?? stop.graceMs),
      killWaitMs: this.#host.policy.killWaitMs,
      ...(options.now === undefined ? {} : { now: options.now }),
    };
    const { outcome, survivors } = await run.end(how);
    if (outcome === 'unkillable') return survivors;
    // The exit is reported a moment after the process is gone from the table.
    await Promise.race([run.exited, delay(200, undefined, { ref: false })]);
    const stuck = await pastShortage(() => this.#host.clearPort(this.#service, run.record, how));
    if (stuck.length > 0) return stuck;
    const known = this.#run === run || this.#beside.delete(run);
    if (this.#run === run) this.#run = undefined;
    if (known) await this.#host.ended(this.#service, run.record);
    return [];
  }

  async #execute(signal: AbortSignal, successor: boolean): Promise<Run> {
    const { spec, name } = this.#service;
    await spec.prepare?.(signal);
    const port = await this.#host.claimPort(this.#service, signal);
    const instanceId = newId<ServiceInstanceId>();
    const command = await spec.command({ instanceId, port, successor });
    await this.#host.mayAct(this.#service, signal);
    signal.throwIfAborted();
    const { artefactHash, configHash } = spec;
    const facts = { instanceId, port, artefactHash, configHash };
    this.#host.begun(instanceId);
    try {
      return await Run.spawn(this.#host.installation, name, command, facts);
    } catch (error) {
      this.#host.notBegun(this.#service, facts);
      throw error;
    }
  }

  #hold(run: Run): Run {
    this.#run = run;
    this.#logFile = run.logFile;
    return run;
  }
}
