import { readUserTools, type UserToolList } from '../../domain/mcp/index.ts';
import type { Database } from '../../infra/database/connection.ts';

/** How many users' lists are kept in memory. */
const entriesMax = 10_000;

interface Reading {
  stale: boolean;
  done: Promise<void>;
}

/**
 * Which forms of the tools of a server each user's own list had last. Kept in memory as they are needed, and forgotten as soon
 * as any process has written a newer one.
 */
export class UserLists {
  readonly #database: Pick<Database, 'query'>;
  readonly #lists = new Map<string, UserToolList | undefined>();
  readonly #reading = new Map<string, Reading>();
  #unlisten: (() => Promise<void>) | undefined;

  private constructor(database: Pick<Database, 'query'>) {
    this.#database = database;
  }

  /** @throws DatabaseUnavailableError */
  static async open(database: Pick<Database, 'query' | 'listen'>): Promise<UserLists> {
    const lists = new UserLists(database);
    lists.#unlisten = await database.listen('mcp_user_tools', (payload, reconnected) => {
      for (const key of reconnected ? lists.#lists.keys() : [payload]) lists.#changed(key);
    });
    return lists;
  }

  /** The list, if it is in memory: see `ready`. */
  of(server: string, user: string): UserToolList | undefined {
    return this.#lists.get(keyOf(server, user));
  }

  /** Reads a list that is not in memory, or not current; nothing when there is nothing to wait for. @throws DatabaseUnavailableError */
  ready(server: string, user: string): Promise<void> | undefined {
    const key = keyOf(server, user);
    const going = this.#reading.get(key);
    if (going !== undefined) return going.done;
    return this.#lists.has(key) ? undefined : this.#begin(key);
  }

  /** What this process has just written. */
  set(server: string, user: string, list: UserToolList): void {
    const key = keyOf(server, user);
    const reading = this.#reading.get(key);
    if (reading !== undefined) reading.stale = true;
    this.#keep(key, list);
  }

  async close(): Promise<void> {
    await this.#unlisten?.();
  }

  #begin(key: string): Promise<void> {
    const reading = { stale: false, done: Promise.resolve() };
    reading.done = this.#read(reading, key).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading.done;
  }

  async #read(reading: Reading, key: string): Promise<void> {
    const [server = '', user = ''] = key.split(' ');
    let list: UserToolList | undefined;
    do {
      reading.stale = false;
      list = await readUserTools(this.#database, server, user);
      // What was announced meanwhile may be newer than what was read.
    } while (reading.stale);
    this.#keep(key, list);
  }

  #keep(key: string, list: UserToolList | undefined): void {
    if (this.#lists.size >= entriesMax) this.#lists.delete([...this.#lists.keys()][0] ?? '');
    this.#lists.set(key, list);
  }

  /** Another process, or this one, has written it. */
  #changed(key: string): void {
    const reading = this.#reading.get(key);
    if (reading !== undefined) reading.stale = true;
    // Whoever needs it next hears why it can't be read.
    else if (this.#lists.has(key)) this.#begin(key).catch(() => this.#lists.delete(key));
  }
}

/** The same as the payload of the notice. */
function keyOf(server: string, user: string): string {
  return `${server} ${user}`;
}
