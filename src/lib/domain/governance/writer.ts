import type { ExecutionId } from '../../shared/ids.ts';
import { composeBatch, type Entry, explain, failureOf, late, notMade, refuse, settle, unavailable } from './entry.ts';
import { Lane } from './lane.ts';
import type { IntentRow, OutcomeRow } from './rows.ts';
import { intentJson, outcomeJson } from './statements.ts';
import type { AuditLog, AuditWriterOptions } from './writer-options.ts';

const maxBatch = 256;
const sweepMs = 250;
const slowMs = 20;
const secondLaneRows = 8;
const restMs = 250;
const hungMs = 10_000;

/**
 * Writes the audit. All rows that wait are committed by one statement (group commit) while further ones gather. An
 * intent that can't be written is refused and its call never made; an outcome is kept and tried again until it is
 * written, while its caller's wait is bounded.
 */
export class AuditWriter {
  readonly #instance: string;
  readonly #log: AuditLog;
  readonly #onCommit: AuditWriterOptions['onCommit'];
  readonly #maxWaiting: number;
  readonly #intentTimeoutMs: number;
  readonly #outcomeTimeoutMs: number;
  readonly #lanes: readonly Lane[];
  readonly #running = new Map<Lane, readonly Entry[]>();
  #waiting: Entry[] = [];
  #scheduled = false;
  #sweeper: NodeJS.Timeout | undefined;
  /** The store holds a connection but does not answer. */
  #stalled = false;
  /** Whether it was logged that the store is away. */
  #reported = false;
  #closing = false;
  #drained: (() => void) | undefined;

  constructor(options: AuditWriterOptions) {
    this.#instance = options.instance;
    this.#log = options.log;
    this.#onCommit = options.onCommit;
    this.#maxWaiting = options.maxWaiting ?? 4_096;
    this.#intentTimeoutMs = options.intentTimeoutMs ?? 2_000;
    this.#outcomeTimeoutMs = options.outcomeTimeoutMs ?? 5_000;
    const events = { onReady: () => this.#onReady(), onDown: (_: Lane, reason: unknown) => this.#onDown(reason) };
    this.#lanes = Array.from({ length: options.lanes ?? 2 }, () => new Lane(options.connect, options.instance, events));
  }

  /** Whether a call would be let through now. */
  get available(): boolean {
    return !this.#closing && !this.#stalled && this.#lanes.some((lane) => lane.up);
  }

  /** @throws AuditUnavailableError when a call would not be let through now */
  assertAvailable(): void {
    if (!this.available) throw unavailable('The audit store is away, so no call is made.');
  }

  /**
   * Resolves when the intent is durable.
   * @throws AuditUnavailableError when it is not: do not make the call
   */
  intent(row: IntentRow): Promise<void> {
    return this.#admit(row.executionId, intentJson(row, this.#instance), undefined);
  }

  /**
   * Writes a call that is not made (refused, or no server to make it to) with its outcome, in one commit.
   * @throws AuditUnavailableError
   */
  attempt(row: IntentRow, outcome: OutcomeRow): Promise<void> {
    return this.#admit(row.executionId, intentJson(row, this.#instance), outcomeJson(outcome));
  }

  /**
   * Resolves when the outcome is durable.
   * @throws TimeoutError when that took too long: the answer must not be given, though the outcome is still written
   *   when the store is back; AuditUnavailableError when it can't be written at all
   */
  outcome(row: OutcomeRow): Promise<void> {
    return this.#enqueue(row.executionId, undefined, outcomeJson(row));
  }

  /** Writes what waits, at most `timeoutMs` long, then ends the connections. */
  async close(timeoutMs = 5_000): Promise<void> {
    this.#closing = true;
    if (this.#waiting.length > 0 || this.#running.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
        timer = setTimeout(resolve, timeoutMs);
      });
      clearTimeout(timer);
    }
    clearTimeout(this.#sweeper);
    if (this.#waiting.length > 0) {
      this.#log.error({ rows: this.#waiting.length }, 'Audit rows could not be written before the end');
    }
    for (const entry of this.#waiting) settle(entry, late(entry.executionId));
    for (const lane of this.#running.keys()) lane.destroy();
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #admit(executionId: ExecutionId, intent: string, outcome: string | undefined): Promise<void> {
    if (!this.available) return Promise.reject(unavailable('The audit store is away, so no call is made.'));
    if (this.#waiting.length >= this.#maxWaiting) {
      return Promise.reject(unavailable('Too many calls wait for the audit store.'));
    }
    return this.#enqueue(executionId, intent, outcome);
  }

  #enqueue(executionId: ExecutionId, intent: string | undefined, outcome: string | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#add({
        executionId,
        intent,
        outcome,
        waiter: { resolve, reject },
        since: performance.now(),
        repeated: false,
        alone: false,
        abandoned: false,
      });
    });
  }

  #add(entry: Entry): void {
    this.#waiting.push(entry);
    this.#sweeper ??= setTimeout(() => this.#sweep(), sweepMs);
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the events of this turn of the loop: rows of calls that arrived together share a commit.
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /**
   * One statement at a time, so that groups grow with the load; the other connection steps in when the first is lost, or
   * slow, or has left enough rows behind for a group of their own: with 32 callers a tenth more calls a second, measured.
   */
  #pump(): void {
    for (const lane of this.#lanes) {
      if (this.#waiting.length === 0) break;
      if (lane.idle) {
        void this.#write(lane, this.#takeBatch());
        break;
      }
      const busyMs = lane.busySince === undefined ? undefined : performance.now() - lane.busySince;
      if (busyMs !== undefined && busyMs < slowMs && this.#waiting.length < secondLaneRows) break;
    }
    if (this.#waiting.length === 0 && this.#running.size === 0) this.#drained?.();
  }

  #takeBatch(): Entry[] {
    const waiting = this.#waiting;
    if (waiting[0]?.alone === true) return waiting.splice(0, 1);
    const end = waiting.findIndex((entry, index) => entry.alone || index === maxBatch);
    if (end !== -1) return waiting.splice(0, end);
    this.#waiting = [];
    return waiting;
  }

  async #write(lane: Lane, entries: readonly Entry[]): Promise<void> {
    this.#running.set(lane, entries);
    const batch = composeBatch(entries);
    const since = performance.now();
    try {
      const rows = await lane.run(batch.statement, batch.values);
      this.#onCommit?.(performance.now() - since, true);
      this.#running.delete(lane);
      this.#stalled = false;
      this.#written(entries, rows === batch.rows);
    } catch (error) {
      this.#onCommit?.(performance.now() - since, false);
      this.#running.delete(lane);
      this.#failed(lane, entries, error);
    }
    this.#pump();
  }

  #written(entries: readonly Entry[], complete: boolean): void {
    const foreign = !complete && !entries.some((entry) => entry.repeated);
    if (foreign) this.#log.error({ rows: entries.length }, 'Rows of this process were written by somebody else');
    for (const entry of entries) {
      if (entry.abandoned) {
        this.#add({
          ...entry,
          intent: undefined,
          outcome: notMade(entry.executionId),
          abandoned: false,
          repeated: true,
        });
      }
      settle(entry, foreign ? unavailable('This call was recorded by somebody else.') : undefined);
    }
  }

  #failed(lane: Lane, entries: readonly Entry[], error: unknown): void {
    const failure = failureOf(error);
    if (failure === 'lost') {
      lane.destroy();
      for (const entry of entries) {
        entry.repeated = true;
        if (entry.abandoned) entry.outcome ??= notMade(entry.executionId);
        entry.abandoned = false;
      }
      this.#waiting.unshift(...entries);
      this.#refuseWithoutStore(error);
      return;
    }
    if (failure === 'data') {
      this.#refused(entries, error);
      return;
    }
    this.#log.error({ ...explain(error), rows: entries.length }, 'The audit store refuses rows');
    lane.rest(restMs);
    for (const entry of entries) {
      if (entry.intent !== undefined)
        refuse(entry, unavailable('The audit store can’t write, so no call is made.', error));
    }
    this.#waiting.unshift(...entries.filter((entry) => entry.intent === undefined || entry.repeated));
  }

  /** One row that the store does not take must not drag the others down: each is tried by itself. */
  #refused(entries: readonly Entry[], error: unknown): void {
    const [only] = entries;
    if (entries.length === 1 && only !== undefined) {
      this.#log.error({ ...explain(error), executionId: only.executionId }, 'The audit store does not take this row');
      settle(only, unavailable('The audit store does not take the row of this call.', error));
      return;
    }
    for (const entry of entries) entry.alone = true;
    this.#waiting.unshift(...entries);
  }

  #onReady(): void {
    this.#stalled = false;
    if (this.#reported) this.#log.warn({ waiting: this.#waiting.length }, 'The audit store is back');
    this.#reported = false;
    this.#pump();
  }

  #onDown(reason: unknown): void {
    // Once for each time that it goes away, not for each try to reach it.
    if (!this.#reported)
      this.#log.warn({ ...explain(reason), waiting: this.#waiting.length }, 'The audit store is away');
    this.#reported = true;
    this.#refuseWithoutStore(reason);
    this.#pump();
  }

  /** With no connection left, calls are refused at once; what may have been committed and all outcomes stay. */
  #refuseWithoutStore(reason: unknown): void {
    if (this.#lanes.some((lane) => lane.up)) return;
    this.#waiting = this.#waiting.filter((entry) => {
      if (entry.intent === undefined) return true;
      refuse(entry, unavailable('The audit store was lost, so no call is made.', reason));
      return entry.repeated;
    });
  }

  /** Sends away those who have waited too long, and cuts connections that hang. */
  #sweep(): void {
    this.#sweeper = undefined;
    const now = performance.now();
    this.#waiting = this.#waiting.filter((entry) => {
      if (entry.waiter === undefined || !this.#overdue(entry, now) || entry.intent === undefined) return true;
      return entry.repeated;
    });
    for (const [lane, entries] of this.#running) {
      for (const entry of entries) {
        const bare = entry.intent !== undefined && entry.outcome === undefined;
        if (entry.waiter !== undefined && this.#overdue(entry, now)) entry.abandoned = bare;
      }
      if (lane.busySince !== undefined && now - lane.busySince > hungMs) lane.destroy();
    }
    if (this.#waiting.length > 0 || this.#running.size > 0) this.#sweeper = setTimeout(() => this.#sweep(), sweepMs);
  }

  /** Sends the waiter away when its time is over. */
  #overdue(entry: Entry, now: number): boolean {
    if (now - entry.since <= (entry.intent === undefined ? this.#outcomeTimeoutMs : this.#intentTimeoutMs))
      return false;
    if (entry.intent === undefined) {
      settle(entry, late(entry.executionId));
    } else {
      this.#stalled = true;
      refuse(entry, unavailable('The audit store did not answer in time, so no call is made.'));
    }
    return true;
  }
}
