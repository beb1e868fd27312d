import type { DedicatedConnection, PreparedStatement } from '../../infra/database/dedicated.ts';
import { holdWriterLock, registerWriter } from './statements.ts';

const firstRetryMs = 50;
const lastRetryMs = 1_000;

export interface LaneEvents {
  /** The lane can take a statement now. */
  onReady(lane: Lane): void;
  /** The lane has no connection; it goes on trying by itself. */
  onDown(lane: Lane, reason: unknown): void;
}

/** One connection of the audit writer that comes back by itself, and runs one statement at a time. */
export class Lane {
  readonly #connect: () => Promise<DedicatedConnection>;
  readonly #instance: string;
  readonly #events: LaneEvents;
  #connection: DedicatedConnection | undefined;
  #resting = false;
  #closed = false;
  #retryMs = firstRetryMs;
  #timer: NodeJS.Timeout | undefined;
  /** When the running statement was sent, by `performance.now()`. */
  busySince: number | undefined;

  constructor(connect: () => Promise<DedicatedConnection>, instance: string, events: LaneEvents) {
    this.#connect = connect;
    this.#instance = instance;
    this.#events = events;
    void this.#open();
  }

  /** Connected, and not resting after a refusal. */
  get up(): boolean {
    return this.#connection !== undefined && !this.#resting;
  }

  get idle(): boolean {
    return this.up && this.busySince === undefined;
  }

  /** Only when idle. Rejects like DedicatedConnection.run. */
  async run(statement: PreparedStatement, values: readonly unknown[]): Promise<number> {
    if (this.#connection === undefined) throw new Error('The lane has no connection.');
    this.busySince = performance.now();
    try {
      return await this.#connection.run(statement, values);
    } finally {
      this.busySince = undefined;
    }
  }

  /** Takes no statement for a while: the server is there but refuses (disk full, read-only). */
  rest(ms: number): void {
    this.#resting = true;
    setTimeout(() => {
      this.#resting = false;
      if (this.idle) this.#events.onReady(this);
    }, ms).unref();
  }

  /** Cuts a connection that does not answer; the running statement fails as lost. */
  destroy(): void {
    this.#connection?.destroy();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }

  async #open(): Promise<void> {
    let connection: DedicatedConnection | undefined;
    try {
      connection = await this.#connect();
      await connection.run(holdWriterLock, [this.#instance]);
      await connection.run(registerWriter, [this.#instance]);
    } catch (error) {
      connection?.destroy();
      this.#retry(error);
      return;
    }
    if (this.#closed) {
      await connection.close();
      return;
    }
    this.#connection = connection;
    this.#retryMs = firstRetryMs;
    void connection.lost.then((reason) => {
      if (this.#closed) return;
      this.#connection = undefined;
      this.#retry(reason);
    });
    this.#events.onReady(this);
  }

  #retry(reason: unknown): void {
    if (this.#closed) return;
    this.#events.onDown(this, reason);
    this.#timer = setTimeout(() => void this.#open(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs);
  }
}
