import { Socket } from 'node:net';
import pg from 'pg';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import { clientConfig } from './client-config.ts';
import type { ConnectionConfig } from './connection-config.ts';
import { toConnectError, toLossError } from './errors.ts';

/** A statement that is prepared once for each connection, under its name. */
export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
}

/**
 * One connection that its owner keeps for itself: session state (locks, prepared statements) lasts as long as it does,
 * and its owner hears at once when it is lost. For writers that must know what became of each statement.
 */
export interface DedicatedConnection {
  /**
   * @returns the number of rows that the statement touched
   * @throws DatabaseUnavailableError when the connection was lost, and then whether the statement was committed is not
   *   known; PostgreSQL's own error when it refused the statement
   */
  run(statement: PreparedStatement, values: readonly unknown[]): Promise<number>;
  /** Settles when the connection is gone, whoever ended it, with the reason. */
  readonly lost: Promise<unknown>;
  /** Cuts the connection without a word, for one that does not answer. */
  destroy(): void;
  /** Says goodbye. A running statement is waited for. */
  close(): Promise<void>;
}

/** @throws DatabaseUnavailableError */
export async function openDedicated(
  config: ConnectionConfig,
  options: { readonly applicationName: string; readonly connectTimeoutMs: number },
): Promise<DedicatedConnection> {
  const { password: _, ...target } = config;
  const socket = new Socket();
  const client = new pg.Client({
    ...clientConfig(config, options.applicationName, options.connectTimeoutMs),
    stream: () => socket,
  });
  const lost = new Promise<unknown>((resolve) => {
    client.on('error', (error) => resolve(toLossError(error, target)));
    client.on('end', () =>
      resolve(new DatabaseUnavailableError('The connection was ended.', { data: { reason: 'lost' } })),
    );
  });
  try {
    await client.connect();
  } catch (error) {
    socket.destroy();
    throw toConnectError(error, target);
  }
  return {
    lost,
    // With a callback instead of a promise: the driver wraps the latter once more, and this is a hot path.
    run: ({ name, text }, values) =>
      new Promise((resolve, reject) => {
        void client.query({ name, text, values: values as unknown[] }, (error: Error | null, result) => {
          if (error === null || error === undefined) resolve(result.rowCount ?? 0);
          else reject(toLossError(error, target));
        });
      }),
    destroy: () => {
      socket.destroy();
    },
    close: () => client.end(),
  };
}
