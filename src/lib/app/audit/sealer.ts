import { setTimeout as delay } from 'node:timers/promises';
import {
  anyUnsealed,
  type ChainHead,
  chainHead,
  pruneThrough,
  type SigningKey,
  sealPass,
} from '../../domain/governance/index.ts';
import type { ConnectionConfig, Queryable } from '../../infra/database/connection.ts';
import { type Session, withSession } from '../../infra/database/session.ts';
import { pruneEnd } from './retention.ts';

/** How long after a pass the next one comes, in ms: rows are sealed within a second with time to spare. */
const passMs = 400;
/** How often somebody who is not the sealer asks whether the lock is free, in ms. */
const standByMs = 1000;
const connectTimeoutMs = 5000;
const retentionMs = 60 * 60_000;
/** No statement of a pass takes longer, in ms. */
const statementMs = 120_000;

export interface SealerLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface SealerOptions {
  /** The database in the sealer's role. */
  readonly connection: ConnectionConfig;
  /** The key that signs now, and how to come by a former one: asked when this process becomes the sealer. */
  readonly keys: () => Promise<{
    readonly key: SigningKey;
    readonly former: (id: string) => Promise<SigningKey | undefined>;
  }>;
  readonly log: SealerLog;
  /** For how many days rows are kept; absent: for ever. */
  readonly retentionDays?: number | undefined;
  readonly passMs?: number;
  readonly standByMs?: number;
  /** How often it looks for rows whose time has come, in ms. */
  readonly retentionMs?: number;
  /** Heard after each step, for tests that end it there. */
  readonly onStep?: ((step: SealerStep) => void | Promise<void>) | undefined;
}

export type SealerStep = 'locked' | 'sealing' | 'sealed' | 'committed' | 'pruned';

/**
 * Binds committed audit rows into the chain. Any number of processes have one; an advisory lock, which ends with its
 * connection, lets one of them work at a time. Calls never wait for it.
 */
export class Sealer {
  readonly #options: SealerOptions;
  readonly #gone = new AbortController();
  readonly #running: Promise<void>;
  #failing = false;
  /** Whether this process is the sealer now. */
  active = false;

  constructor(options: SealerOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** A pass that is under way comes to its end. */
  async close(): Promise<void> {
    this.#gone.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { connection, log } = this.#options;
    while (!this.#gone.signal.aborted) {
      try {
        await withSession(connection, { applicationName: 'systemprompt-sealer', connectTimeoutMs }, (session) =>
          this.#work(session),
        );
      } catch (error) {
        // Once, until it has worked again: the database may be away for long.
        if (!this.#failing) log.warn({ err: error }, 'The audit is not sealed now');
        this.#failing = true;
      } finally {
        this.active = false;
      }
      await this.#pause(this.#options.standByMs ?? standByMs);
    }
  }

  async #work(session: Session): Promise<void> {
    await session.query(`SET TIME ZONE 'UTC'; SET statement_timeout = ${statementMs}; SET jit = off`);
    while (!(await tryLock(session))) {
      this.#failing = false;
      await this.#pause(this.#options.standByMs ?? standByMs);
      if (this.#gone.signal.aborted) return;
    }
    await this.#step('locked');
    const [adopted] = await session.query<{ base: number }>('SELECT audit.adopt_server() AS base');
    const { key, former } = await this.#options.keys();
    const head = await chainHead(session);
    const vouching = head.keyId === undefined || head.keyId === key.id ? undefined : await former(head.keyId);
    this.active = true;
    this.#options.log.info({ segment: head.number, checkpoint: head.checkpoint, key: key.id }, 'Sealing the audit');
    await this.#sealOn(session, head, { key, base: adopted?.base ?? 0, former: vouching });
  }

  /** Pass after pass; one more when it is to end, for what was written last. */
  async #sealOn(session: Session, begin: ChainHead, by: Parameters<typeof sealPass>[2]): Promise<void> {
    let head = begin;
    let nextRetention = performance.now();
    for (;;) {
      const last = this.#gone.signal.aborted;
      const began = performance.now();
      let more = false;
      if (head.keyId !== by.key.id || (await anyUnsealed(session, head))) {
        const from = head;
        ({ head, more } = await this.#transaction(session, () => sealPass(session, from, by)));
        await this.#step('committed');
      }
      this.#failing = false;
      if (last) return;
      if (began >= nextRetention && !more) {
        const pruned = await this.#prune(session, head, by.key);
        head = pruned?.head ?? head;
        nextRetention = began + (pruned === undefined ? (this.#options.retentionMs ?? retentionMs) : 0);
      }
      // Where much waits, others who work on the database get their turn too.
      const took = performance.now() - began;
      await this.#pause(more ? took / 4 : Math.max(this.#options.passMs ?? passMs, took));
    }
  }

  /** Deletes the rows of the oldest segments whose time has come, a part at a time. @returns nothing when there are none */
  async #prune(session: Session, head: ChainHead, key: SigningKey): Promise<{ head: ChainHead } | undefined> {
    const { retentionDays, log } = this.#options;
    if (retentionDays === undefined) return undefined;
    const end = await pruneEnd(session, retentionDays);
    if (end === undefined) return undefined;
    const done = await this.#transaction(session, () => pruneThrough(session, head, { key, ...end }));
    log.info(
      { rows: done.rows, through: end.through, before: end.before },
      'Audit rows were deleted: their time had come',
    );
    await this.#step('pruned');
    return done;
  }

  async #transaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
    await session.query('BEGIN');
    await this.#step('sealing');
    const result = await work();
    await this.#step('sealed');
    await session.query('COMMIT');
    return result;
  }

  async #step(step: SealerStep): Promise<void> {
    await this.#options.onStep?.(step);
  }

  async #pause(ms: number): Promise<void> {
    // Aborted when it is to end: that is no failure.
    await delay(ms, undefined, { signal: this.#gone.signal }).catch(() => {});
  }
}

/** Never by waiting: who waits for a lock holds a snapshot, and no dead row could be cleaned up meanwhile. */
async function tryLock(session: Queryable): Promise<boolean> {
  const [row] = await session.query<{ got: boolean }>(
    `SELECT pg_try_advisory_lock(hashtextextended('systemprompt.audit.sealer', 0)) AS got`,
  );
  return row?.got === true;
}
