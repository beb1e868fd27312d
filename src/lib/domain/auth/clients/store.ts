import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import type { Database } from '../../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../../shared/ids.ts';
import { recordIdentityEvent, recordIdentityEvents } from '../events.ts';
import { insertSession } from '../repository.ts';
import type { ClientMetadata, KnownClient } from './client.ts';
import {
  countRegistrations,
  deleteClient,
  deleteUnusedClients,
  findKnownClient,
  insertClient,
  insertSecret,
  liveSessionOf,
  lockClient,
  setClientSession,
  touchClient,
} from './repository.ts';
import { hashSecret, matchesSecret } from './secrets.ts';

/** The channel on which the database announces the id of a client that changed. */
const channel = 'clients';
/** However the announcements fare, nothing older than this is relied on. */
const cacheMs = 15_000;
const cacheEntries = 1000;
const touchEveryMs = 60_000;
/** The session of a service account lasts until it is ended; no column of times takes `never`. */
const serviceSessionSeconds = 10 * 365 * 86_400;

/** The field of a client's metadata in which the provider carries its kind. */
export const kindField = 'systemprompt_kind';

/** Stands where the provider wants a secret: the real ones are hashed, and compared by `secretMatches` alone. */
const placeholder = randomBytes(32).toString('base64url');

const secretMethods: ReadonlySet<unknown> = new Set(['client_secret_basic', 'client_secret_post', undefined]);

/** Where a registration comes from. */
interface Registering {
  /** By which registrations are counted. */
  readonly network: string;
  /** For the record. */
  readonly address: string | undefined;
}

interface Entry {
  readonly client: KnownClient;
  readonly until: number;
}

/** The clients as the authorization server asks for them, remembered until the database announces a change. */
export class ClientStore {
  readonly #database: Database;
  /** In order of last use. */
  readonly #cache = new Map<string, Entry>();
  readonly #touched = new Map<string, number>();
  readonly #origin = new AsyncLocalStorage<Registering>();
  #generation = 0;
  #unlisten: (() => Promise<void>) | undefined;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** @throws DatabaseUnavailableError when changes can't be listened for */
  static async open(database: Database): Promise<ClientStore> {
    const store = new ClientStore(database);
    store.#unlisten = await database.listen(channel, (id) => {
      store.#generation += 1;
      if (id === '') store.#cache.clear();
      else store.#cache.delete(id);
    });
    return store;
  }

  /** An active client. @throws DatabaseUnavailableError */
  async client(id: string): Promise<KnownClient | undefined> {
    // An address is the id of a document that a client publishes: no row has one.
    if (id.startsWith('https://')) return undefined;
    const known = this.#recall(id) ?? (await this.#load(id));
    return known?.status === 'active' ? known : undefined;
  }

  /** The metadata of an active client as oidc-provider takes it (its model `Client`). */
  async find(id: string): Promise<Record<string, unknown> | undefined> {
    const client = await this.client(id);
    if (client === undefined) return undefined;
    const { metadata } = client;
    return {
      ...metadata,
      client_id: client.id,
      client_name: client.name,
      [kindField]: client.kind,
      ...(secretMethods.has(metadata['token_endpoint_auth_method']) ? { client_secret: placeholder } : {}),
    };
  }

  /** Whether that is one of the client's live secrets, in constant time. */
  async secretMatches(id: string, secret: string): Promise<boolean> {
    const client = await this.client(id);
    return matchesSecret(secret, client?.secrets ?? []);
  }

  /** Has clients that are registered during `work` stand as coming from there. */
  registering<T>(from: Registering, work: () => Promise<T>): Promise<T> {
    return this.#origin.run(from, work);
  }

  /** Keeps a client that registered itself, and puts it on record; of a secret only its hash. */
  async register(id: string, metadata: ClientMetadata): Promise<void> {
    const { client_secret: secret, client_secret_expires_at: _, client_id: __, [kindField]: ___, ...kept } = metadata;
    const name = typeof kept['client_name'] === 'string' ? kept['client_name'] : id;
    const from = this.#origin.getStore();
    const uris = Array.isArray(kept['redirect_uris']) ? kept['redirect_uris'].map(String) : [];
    await this.#database.transaction(async (tx) => {
      const client = { id, kind: 'dynamic' as const, name, metadata: kept, registeredFrom: from?.network };
      if ((await insertClient(tx, client)) === undefined) throw new Error('A client with this id exists already');
      if (typeof secret === 'string') await insertSecret(tx, id, hashSecret(secret));
      const data = { name, redirect_uris: uris };
      await recordIdentityEvent(tx, { type: 'client_registered', clientId: id, address: from?.address, data });
    });
  }

  /** Remembers, in a while, that the client was used; a failure only makes it look idle. */
  touch(id: string): void {
    const now = performance.now();
    if (now - (this.#touched.get(id) ?? Number.NEGATIVE_INFINITY) < touchEveryMs) return;
    if (this.#touched.size >= cacheEntries) this.#touched.clear();
    this.#touched.set(id, now);
    touchClient(this.#database, id).catch(() => this.#touched.delete(id));
  }

  /** Removes a client and ends what was issued to it. */
  async remove(id: string): Promise<void> {
    await deleteClient(this.#database, id);
    this.#cache.delete(id);
  }

  /**
   * The session that the tokens of a service account name, begun anew when the one before was ended: that ends the tokens
   * of before, while what the account may do now decides about those to come.
   * @returns undefined when that client is no service account any more
   */
  async session(id: string): Promise<SessionId | undefined> {
    return this.#database.transaction(async (tx) => {
      const row = await lockClient(tx, id);
      if (row === undefined || row.user_id === null || row.status !== 'active') return undefined;
      if (row.session_id !== null && (await liveSessionOf(tx, row.session_id))) return row.session_id as SessionId;
      const session = await insertSession(tx, {
        userId: row.user_id as UserId,
        client: id,
        ttlSeconds: serviceSessionSeconds,
      });
      await setClientSession(tx, id, session.id as SessionId);
      return session.id as SessionId;
    });
  }

  /** How many clients registered themselves: from one network within the last hour, and in all. */
  registrations(address: string): Promise<{ readonly lastHour: number; readonly all: number }> {
    return countRegistrations(this.#database, address);
  }

  /** Removes clients that registered themselves and nobody uses. @returns their ids */
  collect(after: { readonly unusedSeconds: number; readonly idleSeconds: number }): Promise<string[]> {
    return this.#database.transaction(async (tx) => {
      const removed = await deleteUnusedClients(tx, after);
      const events = removed.map((clientId) => ({
        type: 'client_removed' as const,
        clientId,
        data: { reason: 'unused' },
      }));
      await recordIdentityEvents(tx, events);
      return removed;
    });
  }

  async close(): Promise<void> {
    await this.#unlisten?.();
    this.#unlisten = undefined;
    this.#cache.clear();
  }

  #recall(id: string): KnownClient | undefined {
    const entry = this.#cache.get(id);
    if (entry === undefined) return undefined;
    this.#cache.delete(id);
    if (entry.until <= performance.now()) return undefined;
    this.#cache.set(id, entry);
    return entry.client;
  }

  async #load(id: string): Promise<KnownClient | undefined> {
    const generation = this.#generation;
    const client = await findKnownClient(this.#database, id);
    // What changed while it was read may be older than what was announced.
    if (client === undefined || generation !== this.#generation) return client;
    this.#cache.set(id, { client, until: performance.now() + cacheMs });
    if (this.#cache.size > cacheEntries) {
      const [oldest] = this.#cache.keys();
      if (oldest !== undefined) this.#cache.delete(oldest);
    }
    return client;
  }
}
