import pg from 'pg';
import { type Target, toConnectError } from './errors.ts';
import { quoteIdentifier } from './identifiers.ts';

/**
 * Called with the payload of a NOTIFY; after a reconnect with an empty payload and `reconnected` true, since
 * announcements that were made meanwhile did not arrive.
 */
export type NotificationHandler = (payload: string, reconnected: boolean) => void;

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5000;
/** A peer that vanished without a word (a cut cable, a dropped NAT entry) is noticed within twice this time. */
const HEARTBEAT_MS = 15_000;

/** One connection that only listens, shared by all channels of a database; it comes back after every loss. */
export class Listener {
  readonly #config: pg.ClientConfig;
  readonly #target: Target;
  readonly #onError: (error: unknown) => void;
  readonly #heartbeatMs: number;
  readonly #channels = new Map<string, Set<NotificationHandler>>();
  #client: pg.Client | undefined;
  #connecting: Promise<pg.Client> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    config: pg.ClientConfig,
    target: Target,
    onError: (error: unknown) => void,
    heartbeatMs: number = HEARTBEAT_MS,
  ) {
    this.#config = config;
    this.#target = target;
    this.#onError = onError;
    this.#heartbeatMs = heartbeatMs;
  }

  /** @throws DatabaseUnavailableError when the first connection can't be made */
  async listen(channel: string, handler: NotificationHandler): Promise<() => Promise<void>> {
    let handlers = this.#channels.get(channel);
    if (handlers === undefined) {
      handlers = new Set();
      this.#channels.set(channel, handlers);
    }
    // Added first: an announcement right after LISTEN must find it.
    const own: NotificationHandler = (payload, reconnected) => handler(payload, reconnected);
    handlers.add(own);
    try {
      const client = await this.#connected();
      await client.query(`LISTEN ${quoteIdentifier(channel)}`);
    } catch (error) {
      this.#remove(channel, own);
      throw toConnectError(error, this.#target);
    }
    return async () => {
      if (!this.#remove(channel, own) || this.#client === undefined) return;
      // A connection that is just breaking forgets the channel anyway.
      await this.#client.query(`UNLISTEN ${quoteIdentifier(channel)}`).catch((error) => this.#onError(error));
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    await this.#connecting?.catch(() => undefined); // its error went to whoever asked
    const client = this.#client;
    this.#client = undefined;
    await client?.end();
  }

  /** @returns whether the channel has no handler left */
  #remove(channel: string, handler: NotificationHandler): boolean {
    const handlers = this.#channels.get(channel);
    if (handlers === undefined || !handlers.delete(handler) || handlers.size > 0) return false;
    return this.#channels.delete(channel);
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client(this.#config);
    client.on('error', (error) => this.#lost(client, error));
    client.on('end', () => this.#lost(client, new Error('Connection terminated')));
    client.on('notification', (message) => this.#deliver(message.channel, message.payload ?? '', false));
    try {
      await client.connect();
      for (const channel of this.#channels.keys()) await client.query(`LISTEN ${quoteIdentifier(channel)}`);
    } catch (error) {
      await client.end().catch(() => undefined); // the first error says it all
      throw error;
    }
    this.#client = client;
    this.#heartbeat = setInterval(() => this.#beat(client), this.#heartbeatMs).unref();
    return client;
  }

  /** Only a connection that is written to tells that it is dead: one that merely listens would wait for ever. */
  #beat(client: pg.Client): void {
    const cut = () => client.connection.stream.destroy(new Error('Connection terminated'));
    const giveUp = setTimeout(cut, this.#heartbeatMs);
    void client
      .query('SELECT 1')
      .catch((error: unknown) => this.#onError(error))
      .finally(() => clearTimeout(giveUp));
  }

  #deliver(channel: string, payload: string, reconnected: boolean): void {
    for (const handler of this.#channels.get(channel) ?? []) {
      try {
        handler(payload, reconnected);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  #lost(client: pg.Client, error: Error): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    clearInterval(this.#heartbeat);
    if (this.#closed) return;
    this.#onError(error);
    this.#reconnectAfter(FIRST_RETRY_MS);
  }

  #reconnectAfter(ms: number): void {
    if (this.#closed || this.#channels.size === 0) return;
    this.#retry = setTimeout(async () => {
      try {
        await this.#connected();
      } catch (error) {
        this.#onError(error);
        this.#reconnectAfter(Math.min(ms * 2, LAST_RETRY_MS));
        return;
      }
      for (const channel of [...this.#channels.keys()]) this.#deliver(channel, '', true);
    }, ms);
  }
}
