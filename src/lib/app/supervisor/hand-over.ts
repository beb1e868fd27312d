import type { ReadyResult } from '../../infra/process/spec.ts';
import type { Run } from './run.ts';
import type { ServiceHost, SupervisedService } from './service-host.ts';
import type { ServiceProcess } from './service-process.ts';
import { unkillable } from './service-status.ts';
import { type NotRaised, raiseSuccessor } from './successor.ts';

/** Puts a ready successor on record. @returns the run whose place it took; `false` when it is not wanted any more */
type Take = (successor: Run, found: ReadyResult) => Run | undefined | false;

const superseded: NotRaised = { reason: 'another order came first', code: undefined, lines: [] };

/**
 * The change from one run of a service to the next without a moment in which none serves: a successor is raised beside
 * the run that serves, takes its place on record, and only when that is committed the predecessor is drained and ended.
 */
export class HandOver {
  readonly #service: SupervisedService;
  readonly #process: ServiceProcess;
  readonly #host: ServiceHost;
  #given = new AbortController();
  #hurry = new AbortController();
  #raising: Promise<NotRaised | undefined> | undefined;
  #retiring: Promise<void> | undefined;

  constructor(service: SupervisedService, process: ServiceProcess, host: ServiceHost) {
    this.#service = service;
    this.#process = process;
    this.#host = host;
  }

  /** Settles when a successor that is on its way has taken the place, or nothing is left of it. */
  get raised(): Promise<unknown> {
    return this.#raising ?? Promise.resolve();
  }

  /** Settles when the run whose place was taken has ended, too. */
  async over(): Promise<void> {
    await this.#raising;
    await this.#retiring;
  }

  /**
   * Goes through it, or joins the one that is under way. Never rejects.
   * @param begin called when an earlier one is over; gives nothing when no successor is wanted
   * @returns why there is no successor: the run on record goes on
   */
  async run(begin: () => Take | undefined): Promise<NotRaised | undefined> {
    this.#raising ??= this.#raise(begin).finally(() => {
      this.#raising = undefined;
    });
    const failure = await this.#raising;
    await this.#retiring;
    return failure;
  }

  /** No successor is wanted any more; one that is on its way is ended. */
  abandon(): void {
    this.#given.abort();
  }

  /** Cuts short, when the signal fires, whatever grace the hand-over gives that is under way; a later one has time again. */
  hurry(now: AbortSignal): void {
    const present = this.#hurry;
    if (now.aborted) present.abort();
    else now.addEventListener('abort', () => present.abort(), { once: true });
  }

  async #raise(begin: () => Take | undefined): Promise<NotRaised | undefined> {
    await this.#retiring;
    const take = begin();
    if (take === undefined) return superseded;
    this.#given = new AbortController();
    this.#hurry = new AbortController();
    const { signal } = this.#given;
    const now = this.#hurry.signal;
    const raised = await raiseSuccessor(this.#service, this.#process, this.#host, signal, now);
    if (!('run' in raised)) return raised;
    const predecessor = signal.aborted ? false : take(raised.run, raised.found);
    if (predecessor === false) {
      await this.#end(raised.run, now);
      return superseded;
    }
    if (predecessor !== undefined) this.#retiring = this.#retire(predecessor, signal, now);
    return undefined;
  }

  /** Ends the run whose place was taken, once nobody is sent to it any more. */
  async #retire(run: Run, signal: AbortSignal, now: AbortSignal): Promise<void> {
    await this.#host.announced(this.#service, signal).catch(() => {
      // Another order came: there is nothing left to wait for.
    });
    await this.#host.mayAct(this.#service);
    await this.#end(run, now);
  }

  async #end(run: Run, now: AbortSignal): Promise<void> {
    const survivors = await this.#process.end(run, { now });
    if (survivors.length > 0) this.#host.said(this.#service, 'error', unkillable(survivors));
  }
}
