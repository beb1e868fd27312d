import type { Database } from '../../lib/infra/database/connection.ts';
import { PreconditionError } from '../../lib/shared/errors.ts';
import type { ServerDatabase } from '../../lib/shared/mcp/context.ts';

/** Connections of one server's process at most: every server of the instance takes its part of the same PostgreSQL. */
const poolSize = 5;

/** The database of the server's own; nothing of it is loaded, and nothing connected, before the first statement. */
export class OwnDatabase implements ServerDatabase {
  readonly #url: string | undefined;
  readonly #server: string;
  #opened: Promise<Database> | undefined;

  constructor(url: string | undefined, server: string) {
    this.#url = url;
    this.#server = server;
  }

  async query<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    return await (await this.#open()).query<Row>(sql, params);
  }

  async transaction<T>(work: Parameters<ServerDatabase['transaction']>[0]): Promise<T> {
    return (await (await this.#open()).transaction((tx) => work(tx))) as T;
  }

  async close(): Promise<void> {
    await (await this.#opened?.catch(() => undefined))?.close();
  }

  #open(): Promise<Database> {
    this.#opened ??= this.#connect();
    return this.#opened;
  }

  async #connect(): Promise<Database> {
    if (this.#url === undefined) {
      throw new PreconditionError(`${this.#server} has no database`, { hint: 'DATABASE_URL is not set for it' });
    }
    const [{ openDatabase }, { parseConnectionUrl }] = await Promise.all([
      import('../../lib/infra/database/connection.ts'),
      import('../../lib/infra/database/connection-url.ts'),
    ]);
    return openDatabase(parseConnectionUrl(this.#url), {
      poolSize,
      applicationName: `systemprompt mcp:${this.#server}`,
    });
  }
}
