import pg from 'pg';
import { actorSetting, actorValue, clientConfig, type DatabaseActor } from './client-config.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { toConnectError, toStatementError } from './errors.ts';
import { Listener, type NotificationHandler } from './listener.ts';

export type { DatabaseActor } from './client-config.ts';
export type { ConnectionConfig } from './connection-config.ts';

/** What a repository takes first: the database or an open transaction. */
export interface Queryable {
  /**
   * Runs one statement with `$1`-style parameters.
   * @throws DatabaseUnavailableError when there is no connection; PostgreSQL's own error else
   */
  query<R>(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<R[]>;
}

export interface QueryOptions {
  /** Prepares the statement once per connection under this name. */
  readonly name?: string;
}

/** A lazily connecting pool. */
export interface Database extends Queryable {
  readonly config: Omit<ConnectionConfig, 'password'>;
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects.
   * @throws what `work` throws; an error when `work` went on after a statement of its own had failed
   */
  transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T>;
  /**
   * Subscribes to a NOTIFY channel on a connection of its own, which reconnects by itself. After a reconnect the
   * handler is called with an empty payload and `reconnected`: what was announced meanwhile is lost, so reload.
   * @returns a function that unsubscribes
   */
  listen(channel: string, handler: NotificationHandler): Promise<() => Promise<void>>;
  /** Hears of connections that broke while nobody used them; they are replaced by themselves. */
  onError(handler: (error: unknown) => void): () => void;
  /** How much of the pool is in use. */
  readonly usage: PoolUsage;
  /** Ends all connections; running statements are waited for. Safe to call twice. */
  close(): Promise<void>;
}

/** The connections of a pool, and those who want one. */
export interface PoolUsage {
  /** In use, or being opened for somebody. */
  readonly inUse: number;
  readonly idle: number;
  /** How many wait for one. */
  readonly waiting: number;
  /** Most connections at once. */
  readonly limit: number;
}

export interface DatabaseOptions {
  /** Most connections at once; 10 unless told. */
  readonly poolSize?: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
  /** How long to wait for a free or new connection, in ms; 5000 unless told. */
  readonly connectTimeoutMs?: number;
  /** For whom it works; without it no rows of users are seen but by `withActor`. */
  readonly actor?: DatabaseActor;
}

/**
 * Runs `work` in one transaction on behalf of an actor: of tables that belong to users it sees and changes the actor's own
 * rows, whatever its statements say.
 * @throws what `work` throws
 */
export function withActor<T>(
  database: Pick<Database, 'transaction'>,
  actor: DatabaseActor,
  work: (tx: Queryable) => Promise<T>,
): Promise<T> {
  return database.transaction(async (tx) => {
    await tx.query('SELECT set_config($1, $2, true)', [actorSetting, actorValue(actor)], { name: 'set_actor' });
    return work(tx);
  });
}

/** A database as far as statements and transactions go. */
export type Transactional = Pick<Database, 'query' | 'transaction'>;

/** The same database on behalf of an actor: each statement and each transaction is as by `withActor`. */
export function databaseFor(database: Pick<Database, 'transaction'>, actor: DatabaseActor): Transactional {
  return {
    query: (sql, params, options) => withActor(database, actor, (tx) => tx.query(sql, params, options)),
    transaction: (work) => withActor(database, actor, work),
  };
}

/** Opens a database; connects with the first statement. */
export function openDatabase(config: ConnectionConfig, options: DatabaseOptions = {}): Database {
  return new PooledDatabase(config, options);
}

class PooledDatabase implements Database {
  readonly config: Omit<ConnectionConfig, 'password'>;
  readonly #pool: pg.Pool;
  readonly #listener: Listener;
  readonly #handlers = new Set<(error: unknown) => void>();
  #closed: Promise<void> | undefined;

  constructor(config: ConnectionConfig, options: DatabaseOptions) {
    const { password: _, ...place } = config;
    this.config = place;
    const client = clientConfig(config, options.applicationName, options.connectTimeoutMs ?? 5000, options.actor);
    this.#pool = new pg.Pool({
      ...client,
      max: options.poolSize ?? 10,
      // Statements that are not waited for one by one go out together; each is answered in its turn.
      pipeline: true,
      idleTimeoutMillis: 60_000,
      allowExitOnIdle: true,
    });
    // An 'error' event without a listener ends the process: one listener for idle connections (the pool's), one for
    // those in use between two statements (the client's own).
    this.#pool.on('error', (error) => this.#report(error));
    this.#pool.on('connect', (connected) => connected.on('error', () => {}));
    this.#listener = new Listener(client, place, (error) => this.#report(error));
  }

  async query<R>(sql: string, params?: readonly unknown[], options?: QueryOptions): Promise<R[]> {
    const client = await this.#connect();
    try {
      return (await this.#run(client, sql, params, options)).rows as R[];
    } finally {
      client.release(); // a broken one is not kept
    }
  }

  async transaction<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let unusable: Error | undefined;
    try {
      // The first statement need not wait for its answer: one that failed leaves a connection that takes nothing more.
      const begun = this.#run(client, 'BEGIN');
      begun.catch(() => {});
      const result = await work({
        query: async <R>(sql: string, params?: readonly unknown[], options?: QueryOptions) =>
          (await this.#run(client, sql, params, options)).rows as R[],
      });
      await begun;
      // PostgreSQL answers the COMMIT of a transaction in which a statement failed with a rollback, and no error.
      const { command } = await this.#run(client, 'COMMIT');
      if (command !== 'COMMIT') throw new Error('The transaction was rolled back: one of its statements had failed.');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((failure: Error) => {
        unusable = failure;
      });
      throw error;
    } finally {
      client.release(unusable);
    }
  }

  listen(channel: string, handler: NotificationHandler): Promise<() => Promise<void>> {
    return this.#listener.listen(channel, handler);
  }

  onError(handler: (error: unknown) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  get usage(): PoolUsage {
    const { totalCount, idleCount, waitingCount, options } = this.#pool;
    return { inUse: totalCount - idleCount, idle: idleCount, waiting: waitingCount, limit: options.max };
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all([this.#listener.close(), this.#pool.end()]).then(() => undefined);
    return this.#closed;
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw toConnectError(error, this.config);
    }
  }

  async #run(
    client: pg.PoolClient,
    sql: string,
    params: readonly unknown[] = [],
    { name }: QueryOptions = {},
  ): Promise<pg.QueryResult> {
    try {
      return await client.query({ text: sql, values: [...params], ...(name === undefined ? {} : { name }) });
    } catch (error) {
      throw toStatementError(error, this.config);
    }
  }

  #report(error: unknown): void {
    const reported = toStatementError(error, this.config);
    for (const handler of this.#handlers) handler(reported);
  }
}
