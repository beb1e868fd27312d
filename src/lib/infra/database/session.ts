import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { clientConfig, type DatabaseActor } from './client-config.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { isPassing, toConnectError, toStatementError } from './errors.ts';

/** One connection for a task that needs session state (locks, DDL in order). */
export interface Session {
  readonly client: pg.Client;
  query<R>(sql: string, params?: readonly unknown[]): Promise<R[]>;
}

export interface SessionOptions {
  readonly applicationName?: string;
  /** How long to try again while the reason may pass by itself, in ms; one try only unless told. */
  readonly waitMs?: number;
  /** How long one try may take, in ms; 5 s unless told. */
  readonly connectTimeoutMs?: number;
  readonly signal?: AbortSignal;
  /** For whom it works, in the role of the application. */
  readonly actor?: DatabaseActor;
}

const RETRY_MS = 100;
const CONNECT_TIMEOUT_MS = 5000;

/**
 * Connects, runs `work`, and ends the connection whatever happens: locks and open transactions end with it.
 * @throws DatabaseUnavailableError with the last reason when no connection is to be had in time
 */
export async function withSession<T>(
  config: ConnectionConfig,
  options: SessionOptions,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const client = await connect(config, options);
  try {
    return await work({
      client,
      query: async <R>(sql: string, params: readonly unknown[] = []) => {
        const result = params.length === 0 ? await client.query(sql) : await client.query(sql, [...params]);
        return result.rows as R[];
      },
    });
  } catch (error) {
    throw toStatementError(error, config);
  } finally {
    await client.end().catch(() => undefined); // broken already; the error that broke it is on its way
  }
}

async function connect(config: ConnectionConfig, options: SessionOptions): Promise<pg.Client> {
  const deadline = performance.now() + (options.waitMs ?? 0);
  for (;;) {
    options.signal?.throwIfAborted();
    const left = deadline - performance.now();
    const most = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
    const timeoutMs = options.waitMs === undefined ? most : Math.min(most, Math.max(left, 1000));
    const client = new pg.Client(clientConfig(config, options.applicationName, timeoutMs, options.actor));
    client.on('error', () => {}); // the statement that is running rejects as well
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined); // never connected
      const mapped = toConnectError(error, config);
      if (!isPassing(mapped) || performance.now() + RETRY_MS >= deadline) throw mapped;
    }
    await delay(RETRY_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}
