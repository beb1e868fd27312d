import { setTimeout as delay } from 'node:timers/promises';
import type { Database } from '../../infra/database/connection.ts';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import type { Fence } from './fence.ts';
import { holdsEpoch } from './repository.ts';

/** One write; returns false when the epoch is no longer ours. */
export type Write = (database: Database, epoch: number) => Promise<boolean>;

const backlogLimit = 10_000;

/**
 * Writes what the supervisor decides, in the order in which it was decided, without holding anything up. When the database
 * is away the fence is suspended and the writes wait; when the epoch is gone the fence is lost and nothing is written.
 */
export class Recorder {
  readonly #fence: Fence;
  readonly #installationId: string;
  readonly #everyMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #queue: Write[] = [];
  /** Who waits until so many writes, of all that were ever queued, are behind us. */
  readonly #waiting = new Set<{ readonly at: number; readonly resolve: () => void }>();
  /** How many writes were queued, and how many of them are behind us: committed, refused or left out. */
  #queued = 0;
  #behind = 0;
  #database: Database | undefined;
  #epoch = 0;
  #draining: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(fence: Fence, installationId: string, everyMs: number, onError: (error: unknown) => void) {
    this.#fence = fence;
    this.#installationId = installationId;
    this.#everyMs = everyMs;
    this.#onError = onError;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** From here on writes are made, and the epoch is looked at again and again. */
  begin(database: Database, epoch: number): void {
    this.#database = database;
    this.#epoch = epoch;
    database.onError((error) => this.#failed(error));
    this.#fence.hold();
    this.#look();
    this.#drain();
  }

  write(write: Write): void {
    if (this.#fence.state === 'lost' || this.#closed) return;
    this.#queue.push(write);
    this.#queued += 1;
    // Beyond this the oldest states are history that nobody will miss; the newest of each service is behind them. The first
    // may be on its way to the database just now.
    if (this.#queue.length > backlogLimit) this.#done(1);
    this.#drain();
  }

  /** Resolves when everything that was to be written before is committed. Rejects with the signal's reason before that. */
  caughtUp(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#behind >= this.#queued) return resolve();
      const waiting = {
        at: this.#queued,
        resolve: () => {
          signal.removeEventListener('abort', abort);
          resolve();
        },
      };
      const abort = (): void => {
        this.#waiting.delete(waiting);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(waiting);
    });
  }

  /** Waits until everything is written, the database is away, or the time is over. */
  async flush(ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    while (this.#queue.length > 0 && this.#fence.state === 'held' && performance.now() < deadline) {
      await Promise.race([this.#draining, delay(deadline - performance.now(), undefined, { ref: false })]);
    }
  }

  /** Looks at the epoch now. */
  async check(): Promise<void> {
    if (this.#database === undefined || this.#fence.state === 'lost') return;
    try {
      if (await holdsEpoch(this.#database, this.#installationId, this.#epoch)) {
        this.#fence.hold();
        this.#drain();
      } else {
        this.#fence.lose();
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #look(): void {
    if (this.#closed) return;
    // Sooner while it is away: everybody waits for it.
    const pause = this.#fence.state === 'held' ? this.#everyMs : Math.min(this.#everyMs, 200);
    this.#timer = setTimeout(() => void this.check().finally(() => this.#look()), pause);
    this.#timer.unref();
  }

  #drain(): void {
    if (this.#draining !== undefined || this.#database === undefined) return;
    const database = this.#database;
    this.#draining = (async () => {
      for (let write = this.#queue[0]; write !== undefined && this.#fence.state === 'held'; write = this.#queue[0]) {
        try {
          if (!(await write(database, this.#epoch))) {
            this.#fence.lose();
            return;
          }
        } catch (error) {
          if (error instanceof DatabaseUnavailableError) {
            this.#failed(error);
            return;
          }
          // A write that the database refuses would be refused again: said, and left out.
          this.#onError(error);
        }
        this.#done(0);
      }
    })().finally(() => {
      this.#draining = undefined;
      if (this.#queue.length > 0 && this.#fence.state === 'held') this.#drain();
    });
  }

  /** The write at this place of the queue is behind us. */
  #done(index: number): void {
    this.#queue.splice(index, 1);
    this.#behind += 1;
    for (const waiting of this.#waiting) {
      if (waiting.at > this.#behind) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    if (error instanceof DatabaseUnavailableError) {
      const before = this.#fence.state;
      this.#fence.suspend(error);
      if (before === 'held') {
        clearTimeout(this.#timer);
        this.#look();
      }
    } else {
      this.#onError(error);
    }
  }
}
