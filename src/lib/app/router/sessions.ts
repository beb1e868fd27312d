import type { Claims } from '../../domain/auth/index.ts';
import {
  endedAmong,
  endSettled,
  recordSessions,
  type SessionEnd,
  type SessionTransport,
} from '../../domain/mcp/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { ClientHello } from './client-hello.ts';
import { type SessionBinding, type SessionOwner, sessionRowId } from './session-binding.ts';
import { type Entry, type Session, SessionTable } from './session-table.ts';

export type { Session } from './session-table.ts';

/** A session is written down at most so often, in ms. */
const longestWriteMs = 30_000;
/** Longest id of a server that is kept on record; one that is longer is bound all the same. */
const maxUpstreamId = 1000;
const batch = 1000;

export interface SessionsOptions {
  readonly binding: SessionBinding;
  /** Without it sessions are kept in the memory of this process alone. */
  readonly database?: Queryable | undefined;
  /** How long one may be unused, in ms. */
  readonly idleMs: number;
  readonly log: Pick<Logger, 'warn'>;
}

const unknownClient: ClientHello = { protocolVersion: undefined, clientName: undefined, clientVersion: undefined };

/**
 * The sessions that clients have with servers, as this process knows them. What a client shows is checked by its signature;
 * the database is asked once for each session, whether it was ended meanwhile, and is written behind: each session at most
 * every 30 s, all of them together in one statement. Nothing waits for it.
 */
export class Sessions {
  readonly idleMs: number;
  readonly #options: SessionsOptions;
  readonly #table = new SessionTable();
  readonly #waiting = new Set<Entry>();
  readonly #held = new Set<Entry>();
  readonly #adopting = new Map<string, Promise<Session | undefined>>();
  /** Of which the database could not be asked whether they are over. */
  readonly #unsure = new Set<string>();
  readonly #writeMs: number;
  readonly #clock: NodeJS.Timeout;
  #writing: Promise<void> | undefined;
  /** What is over, and not written down yet. */
  readonly #ends: { readonly id: string; readonly reason: SessionEnd; readonly entry: Entry | undefined }[] = [];
  #ending: Promise<void> | undefined;
  #failing = false;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.idleMs = options.idleMs;
    this.#writeMs = Math.min(longestWriteMs, options.idleMs / 4);
    this.#clock = setInterval(() => void this.write(), this.#writeMs / 6).unref();
  }

  /** How long after it was last used a session is sure to be unused: what is written is behind by so much. */
  get certainlyIdleMs(): number {
    return this.idleMs + this.#writeMs * 1.5;
  }

  get size(): number {
    return this.#table.size;
  }

  /**
   * The session that a client shows, in use from now; nothing for one that was never given to this user by this run of the
   * server, or is over. Comes at once but for the first time that this process sees it.
   */
  find(
    owner: SessionOwner,
    bound: string,
    claims: Claims,
    protocolVersion?: string,
  ): Session | undefined | Promise<Session | undefined> {
    const known = this.#table.byBound(bound);
    if (known === undefined) return this.#adopt(owner, bound, claims, protocolVersion);
    const { server, instanceId, userId } = owner;
    if (known.server !== server || known.instanceId !== instanceId || known.userId !== userId) return undefined;
    if (known.endedAt !== undefined) return undefined;
    this.#use(known, protocolVersion);
    return known;
  }

  /** A session that a server has begun. @returns its id as the client gets it */
  begin(
    owner: SessionOwner,
    upstreamId: string,
    claims: Claims,
    hello: ClientHello = unknownClient,
    transport: SessionTransport = 'streamable-http',
  ): Session {
    const bound = this.#options.binding.bind(owner, upstreamId, hello.elicits);
    return this.#table.byBound(bound) ?? this.#add(owner, bound, upstreamId, claims, hello, transport);
  }

  /** The session that a client has by this id, as far as this process knows. */
  known(bound: string): Session | undefined {
    return this.#table.byBound(bound);
  }

  /** Keeps a session in use while a stream is open on it. @param stop called when it ends @returns to be called with the stream's end */
  hold(session: Session, stop: () => void): () => void {
    const entry = this.#table.byId(session.id);
    if (entry === undefined) return () => {};
    entry.streams.add(stop);
    this.#held.add(entry);
    return () => {
      entry.streams.delete(stop);
      if (entry.streams.size === 0) this.#held.delete(entry);
      this.#use(entry);
    };
  }

  /** What its client or its server did is the end of a session. @returns whether it was not over before */
  over(session: Session, reason: SessionEnd): boolean {
    if (!this.markEnded(session.id)) return false;
    const { database } = this.#options;
    if (database === undefined) return true;
    this.#ends.push({ id: session.id, reason, entry: this.#table.byId(session.id) });
    this.#ending ??= this.#settle(database).finally(() => {
      this.#ending = undefined;
    });
    return true;
  }

  /** Writes ends down: those that come while others are written go together, be they thousands. */
  async #settle(database: Queryable): Promise<void> {
    while (this.#ends.length > 0) {
      const some = this.#ends.splice(0, batch);
      // After what is on its way, which would not write over an end, but may be what makes the row.
      await this.write(some.flatMap(({ entry }) => entry ?? []));
      for (const [reason, ended] of Map.groupBy(some, (end) => end.reason)) {
        const ids = ended.map(({ id }) => id);
        await endSettled(database, ids, reason).catch((err: unknown) => this.#failed(err));
      }
    }
  }

  /** Ends a session here, its streams too. @returns whether it was in use */
  markEnded(id: string): boolean {
    const entry = this.#table.byId(id);
    if (entry === undefined || entry.endedAt !== undefined) return false;
    entry.endedAt = performance.now();
    for (const stop of [...entry.streams]) stop();
    return true;
  }

  /** Asks which sessions were ended: word of it may have been lost. */
  async recheck(): Promise<void> {
    const { database } = this.#options;
    if (database === undefined) return;
    const ids = [...this.#table.all()].filter(({ endedAt }) => endedAt === undefined).map(({ id }) => id);
    for (let at = 0; at < ids.length; at += batch) {
      for (const id of await endedAmong(database, ids.slice(at, at + batch))) this.markEnded(id);
    }
    this.#unsure.clear();
  }

  /** Writes down what is due, and the given ones; never rejects. */
  async write(now: readonly Entry[] = []): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    this.#writing = this.#write(now).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  async close(): Promise<void> {
    clearInterval(this.#clock);
    await this.#ending;
    for (const entry of this.#held) this.#waiting.add(entry);
    await this.write([...this.#waiting]);
  }

  async #write(now: readonly Entry[]): Promise<void> {
    const { database } = this.#options;
    const at = performance.now();
    for (const entry of this.#held) {
      entry.activeAt = at;
      this.#waiting.add(entry);
    }
    const due = [...this.#waiting].filter(({ writtenAt }) => at - writtenAt >= this.#writeMs);
    const all = [...new Set([...due, ...now])];
    for (const entry of all) this.#waiting.delete(entry);
    this.#table.forget(at - this.certainlyIdleMs);
    if (database === undefined) return;
    try {
      if (this.#unsure.size > 0) await this.recheck();
      for (let from = 0; from < all.length; from += batch) {
        const some = all.slice(from, from + batch);
        await recordSessions(
          database,
          some.map((entry) => ({ ...entry, ageMs: at - entry.openedAt, idleMs: Math.max(0, at - entry.activeAt) })),
        );
        for (const entry of some) entry.writtenAt = at;
      }
      this.#failing = false;
    } catch (error) {
      for (const entry of all) if (entry.endedAt === undefined) this.#waiting.add(entry);
      this.#failed(error);
    }
  }

  #adopt(
    owner: SessionOwner,
    bound: string,
    claims: Claims,
    protocolVersion?: string,
  ): Session | undefined | Promise<Session | undefined> {
    const unbound = this.#options.binding.unbind(owner, bound);
    if (unbound === undefined) return undefined;
    const { database } = this.#options;
    const { sessionId: upstreamId, elicits } = unbound;
    const add = () => this.begin(owner, upstreamId, claims, { ...unknownClient, protocolVersion, elicits });
    if (database === undefined) return add();
    let adopting = this.#adopting.get(bound);
    if (adopting === undefined) {
      const id = sessionRowId(owner, upstreamId);
      adopting = endedAmong(database, [id])
        .catch((error: unknown) => {
          // The signature holds; whether it was ended is asked again.
          this.#unsure.add(id);
          this.#failed(error);
          return [];
        })
        .then((ended) => {
          const session = add();
          if (ended.length > 0) this.markEnded(session.id);
          return ended.length > 0 ? undefined : session;
        })
        .finally(() => this.#adopting.delete(bound));
      this.#adopting.set(bound, adopting);
    }
    return adopting;
  }

  #add(
    owner: SessionOwner,
    bound: string,
    upstreamId: string,
    claims: Claims,
    hello: ClientHello,
    transport: SessionTransport,
  ): Entry {
    const at = performance.now();
    const entry: Entry = {
      ...owner,
      ...hello,
      id: sessionRowId(owner, upstreamId),
      bound,
      upstreamId,
      signInId: claims.sid,
      client: claims.client,
      transport,
      openedAt: at,
      activeAt: at,
      writtenAt: Number.NEGATIVE_INFINITY,
      endedAt: undefined,
      streams: new Set(),
    };
    this.#table.add(entry);
    if (upstreamId.length <= maxUpstreamId) this.#waiting.add(entry);
    return entry;
  }

  #use(entry: Entry, protocolVersion?: string): void {
    entry.activeAt = performance.now();
    if (protocolVersion !== undefined && protocolVersion !== entry.protocolVersion)
      entry.protocolVersion = protocolVersion;
    if (entry.endedAt === undefined && entry.upstreamId.length <= maxUpstreamId) this.#waiting.add(entry);
  }

  #failed(err: unknown): void {
    if (!this.#failing)
      this.#options.log.warn({ err }, 'Sessions are not written down: the database was not to be asked');
    this.#failing = true;
  }
}
