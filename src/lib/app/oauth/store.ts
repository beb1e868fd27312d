import { AsyncLocalStorage } from 'node:async_hooks';
import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider';
import {
  type ClientStore,
  connectedGrants,
  consumePayload,
  deletePayload,
  endGrant,
  findGrant,
  findPayload,
  findPayloadBy,
  grantsOf,
  insertPayload,
  insertRefreshToken,
  type NewPayload,
  recordIdentityEvent,
  type StoredGrant,
  type StoredPayload,
  upsertGrant,
  upsertPayload,
} from '../../domain/auth/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { clientAdapter } from './client-adapter.ts';
import { idHash, type Seal } from './seal.ts';
import { Slots } from './slots.ts';
import { guarded } from './unavailable.ts';

/** Says that something that works once was used before, or by somebody faster; the transaction is to be given up. */
export class UsedBefore extends Error {
  readonly payload: AdapterPayload;

  constructor(payload: AdapterPayload) {
    super('It was used before');
    this.payload = payload;
  }
}

type EndReason = 'token_reuse' | 'session_revoked';

/** What a client was allowed in one sign-in. */
export interface Consent {
  readonly sessionId: SessionId;
  readonly resources: readonly { readonly audience: string; readonly scopes: readonly string[] }[];
}

/** What happens within one token request. */
interface Exchange {
  readonly tx: Queryable;
  /** By model: what was found last. */
  readonly found: Map<string, AdapterPayload>;
  grant: StoredGrant | undefined;
  /** Whether a session was ended in it, which must hold though the request fails. */
  ended: boolean;
  /** Statements whose answers only the end of it has to wait for. */
  readonly running: Promise<void>[];
}

/**
 * Waits for the statements of a token request, in their order. One that failed is why the request fails, whatever became
 * of the request meanwhile: it went on as if the code or token that it used up had been good.
 */
async function ended<T>(exchange: Exchange, work: Promise<T>): Promise<T> {
  const [result] = await Promise.allSettled([work]);
  for (const statement of exchange.running) await statement;
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

/**
 * What oidc-provider keeps, in PostgreSQL: ids as hashes, everything else sealed. Within `exchange` all of it is one
 * transaction: a code or refresh token that is used up and what is issued for it are there together or not at all.
 */
export class OAuthStore {
  readonly #database: Database;
  readonly #seal: Seal;
  readonly #clients: Adapter;
  readonly #graceSeconds: number;
  readonly #exchange = new AsyncLocalStorage<Exchange>();
  readonly #slots: Slots;

  constructor(deps: {
    readonly database: Database;
    readonly seal: Seal;
    readonly clients: ClientStore;
    /** By how much a session outlives its grant: the longest life of an access token. */
    readonly maxTokenTtlSeconds: number;
  }) {
    this.#database = deps.database;
    this.#seal = deps.seal;
    this.#clients = clientAdapter(deps.clients);
    this.#graceSeconds = deps.maxTokenTtlSeconds;
    // What is asked of the database beside a transaction must always find a connection; nothing of that waits for one.
    this.#slots = new Slots(Math.max(1, deps.database.usage.limit - 3));
  }

  /** The adapter of a model, as oidc-provider asks for it. */
  readonly adapter = (model: string): Adapter => {
    if (model === 'Client') return this.#clients;
    const found = async (id: string): Promise<AdapterPayload | undefined> => {
      const payload = await (model === 'Grant' ? this.#findGrant(id) : this.#find(model, id));
      if (payload !== undefined) this.#exchange.getStore()?.found.set(model, payload);
      return payload;
    };
    return {
      upsert: (id, payload, expiresIn) => guarded(() => this.#upsert(model, id, payload, expiresIn)),
      find: (id) => guarded(() => found(id)),
      findByUid: (uid) => guarded(() => this.#findBy(model, 'uid', idHash(uid))),
      findByUserCode: (code) => guarded(() => this.#findBy(model, 'user_code', this.#seal.digest(code))),
      consume: (id) => this.later(guarded(() => this.#consume(model, id))),
      destroy: (id) =>
        guarded(() =>
          model === 'Grant'
            ? this.endGrant(id, reasonHere())
            : deletePayload(this.#connection, { model, idHash: idHash(id) }),
        ),
      revokeByGrantId: (grantId) => guarded(() => this.endGrant(grantId, reasonHere())),
    };
  };

  /**
   * Runs a token request in one transaction. An error rolls everything back, unless a session was ended in it.
   * @throws UsedBefore when a code or token had been used up
   */
  exchange<T>(work: (tx: Queryable) => Promise<T>): Promise<T> {
    return this.#slots.run(async () => {
      const failed: { error?: unknown } = {};
      const result = await this.#database.transaction(async (tx) => {
        const exchange: Exchange = { tx, found: new Map(), grant: undefined, ended: false, running: [] };
        try {
          return await this.#exchange.run(exchange, () => ended(exchange, work(tx)));
        } catch (error) {
          if (!exchange.ended) throw error;
          failed.error = error;
          return undefined;
        }
      });
      if ('error' in failed) throw failed.error;
      return result as T;
    });
  }

  /** In the transaction of somebody else's. */
  within<T>(tx: Queryable, work: () => Promise<T>): Promise<T> {
    const exchange: Exchange = { tx, found: new Map(), grant: undefined, ended: false, running: [] };
    return this.#exchange.run(exchange, () => ended(exchange, work()));
  }

  /** The session and the user of the grant that the running token request is about. */
  get grant(): StoredGrant | undefined {
    return this.#exchange.getStore()?.grant;
  }

  /** A grant's session, asked for outside of a token request. */
  async sessionOf(grantId: string): Promise<StoredGrant | undefined> {
    return this.grant ?? (await guarded(() => findGrant(this.#connection, idHash(grantId))));
  }

  /** Ends a grant: its session, and with it everything that was issued for it. */
  async endGrant(grantId: string, reason: EndReason): Promise<void> {
    const exchange = this.#exchange.getStore();
    // The library asks for it once for each kind of token; all of them go with the session.
    if (exchange?.ended === true) return;
    const end = async (tx: Queryable) => {
      const ended = await endGrant(tx, idHash(grantId));
      if (ended === undefined) return;
      const { sessionId, userId, client: clientId } = ended;
      await recordIdentityEvent(tx, { type: reason, userId, clientId, sessionId });
    };
    if (exchange === undefined) return this.#database.transaction(end);
    exchange.ended = true;
    await end(exchange.tx);
  }

  /** What a user lets a client have by the grants that go on, of each the scopes by resource; the newest first. */
  async grantedScopes(user: string, client: string): Promise<AdapterPayload[]> {
    const rows = await guarded(() => grantsOf(this.#connection, user, client, 20));
    return rows.map((row) => this.#open('Grant', row.idHash, row));
  }

  /** What each client that is connected was allowed by a user. */
  async consentsOf(user: UserId): Promise<Consent[]> {
    const rows = await connectedGrants(this.#database, user);
    return rows.map((row) => {
      const { resources } = this.#open('Grant', row.idHash, row);
      const granted = Object.entries((resources ?? {}) as Readonly<Record<string, string>>);
      return {
        sessionId: row.sessionId,
        resources: granted.map(([audience, scopes]) => ({ audience, scopes: scopes.split(' ') })),
      };
    });
  }

  /** Has the end of the token request wait for it, and nothing before. */
  async later(statement: Promise<void>): Promise<void> {
    const exchange = this.#exchange.getStore();
    if (exchange === undefined) return statement;
    statement.catch(() => {}); // whoever waits at the end is told
    exchange.running.push(statement);
  }

  get #connection(): Queryable {
    return this.#exchange.getStore()?.tx ?? this.#database;
  }

  async #upsert(model: string, id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const hash = idHash(id);
    // What never expires is not kept for ever all the same.
    const ttlSeconds = expiresIn ?? 3600;
    const grantId = model === 'Grant' ? id : payload.grantId;
    const row: NewPayload = {
      model,
      idHash: hash,
      sealed: this.#seal.seal(subjectOf(model, hash), payload),
      grantHash: grantId === undefined ? undefined : idHash(grantId),
      uidHash: model === 'Session' && payload.uid !== undefined ? idHash(payload.uid) : undefined,
      userCodeHash: payload.userCode === undefined ? undefined : this.#seal.digest(payload.userCode),
      userId: payload.accountId,
      client: payload.clientId,
      ttlSeconds,
    };
    const { userId, client } = row;
    if (model === 'Grant') {
      if (userId === undefined || client === undefined) throw new Error('A grant is of a user, to a client');
      return upsertGrant(this.#connection, { ...row, userId, client }, ttlSeconds + this.#graceSeconds);
    }
    if (model === 'RefreshToken') return this.later(insertRefreshToken(this.#connection, row));
    if (model !== 'ReplayDetection') return upsertPayload(this.#connection, row);
    if (!(await insertPayload(this.#connection, row))) throw new errors.InvalidRequest('it was used before');
  }

  async #find(model: string, id: string): Promise<AdapterPayload | undefined> {
    const hash = idHash(id);
    const stored = await findPayload(this.#connection, { model, idHash: hash });
    if (stored === undefined) return undefined;
    const payload = this.#open(model, hash, stored);
    if (model === 'RefreshToken' && payload.consumed !== undefined && this.#exchange.getStore() !== undefined) {
      throw new UsedBefore(payload);
    }
    return payload;
  }

  async #findGrant(id: string): Promise<AdapterPayload | undefined> {
    const hash = idHash(id);
    const exchange = this.#exchange.getStore();
    const stored = await findGrant(this.#connection, hash, { lock: exchange !== undefined });
    if (stored === undefined) return undefined;
    if (exchange !== undefined) exchange.grant = stored;
    return this.#open('Grant', hash, stored);
  }

  async #findBy(model: string, by: 'uid' | 'user_code', hash: Buffer): Promise<AdapterPayload | undefined> {
    const stored = await findPayloadBy(this.#connection, model, by, hash);
    return stored && this.#open(model, stored.idHash, stored);
  }

  async #consume(model: string, id: string): Promise<void> {
    if (await consumePayload(this.#connection, { model, idHash: idHash(id) })) return;
    const payload = this.#exchange.getStore()?.found.get(model);
    if (payload !== undefined) throw new UsedBefore(payload);
    throw new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used');
  }

  #open(model: string, hash: Buffer, stored: StoredPayload): AdapterPayload {
    const payload = this.#seal.open(subjectOf(model, hash), stored.sealed) as AdapterPayload;
    if (stored.consumedAt !== undefined) payload.consumed = Math.floor(stored.consumedAt.getTime() / 1000);
    return payload;
  }
}

/** At the token endpoint a grant ends when something of it is used twice; elsewhere somebody wants it to. */
function reasonHere(): EndReason {
  return Provider.ctx?.oidc.route === 'token' ? 'token_reuse' : 'session_revoked';
}

/** What a seal is bound to: a row that is moved opens nothing. */
function subjectOf(model: string, hash: Buffer): string {
  return `${model} ${hash.toString('base64url')}`;
}
