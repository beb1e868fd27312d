import { type CryptoKey, importJWK, type JWK } from 'jose';
import type { Database } from '../../infra/database/connection.ts';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import type { SessionId } from '../../shared/ids.ts';
import { signatureAlgorithm } from './keys.ts';
import { publishedKeys, revokedSessions } from './repository.ts';

/** The channel on which the database announces revocations and key changes. */
const channel = 'auth';
/** What is remembered longer than it could matter, against clocks that differ. */
const graceSeconds = 60;
const reloadEveryMs = 15_000;
/** Without a successful reload for this long, nothing is known about revocations any more: refuse. */
const staleAfterMs = 60_000;
/** After a reload that failed; until one succeeds, what was announced is not known. */
const retryMs = 1000;
/** A token may name any key; asking the database for each would let strangers load it. */
const unknownKeyReloadMs = 1000;

interface TrustedKey {
  readonly key: CryptoKey;
  readonly jwk: JWK;
  /** Milliseconds since the epoch after which nothing that it signed counts; absent while it is not retired. */
  readonly until?: number;
}

/**
 * What a verifier holds in memory: the public keys and the ended sessions. The database announces changes; a lost
 * announcement is made up for by a reload after each reconnect and every 15 s. An announcement is a reason to look and
 * never believed by its words: every role of a database may NOTIFY on every channel, those of MCP servers too.
 */
export class TrustState {
  readonly #database: Database;
  readonly #overlapSeconds: number;
  #keys = new Map<string, TrustedKey>();
  /** Ended sessions and when their last token expires, in ms since the epoch. */
  readonly #revoked = new Map<SessionId, number>();
  readonly #listeners = new Set<() => void>();
  #loadedAt = Number.NEGATIVE_INFINITY;
  #askedForUnknownKey = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #again = false;
  #timer: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;
  #unlisten: (() => Promise<void>) | undefined;

  private constructor(database: Database, overlapSeconds: number) {
    this.#database = database;
    this.#overlapSeconds = overlapSeconds;
  }

  /**
   * Listens, then loads: what changes in between is not missed.
   * @throws DatabaseUnavailableError when the database is away: without it nobody is trusted
   */
  static async open(database: Database, overlapSeconds: number): Promise<TrustState> {
    const state = new TrustState(database, overlapSeconds);
    try {
      state.#unlisten = await database.listen(channel, () => state.#reloadInBackground());
      await state.reload();
    } catch (error) {
      await state.close();
      throw error;
    }
    state.#timer = setInterval(() => state.#reloadInBackground(), reloadEveryMs).unref();
    return state;
  }

  /** @throws DatabaseUnavailableError when the last successful reload is too long ago to rely on */
  assertFresh(): void {
    if (performance.now() - this.#loadedAt <= staleAfterMs) return;
    throw new DatabaseUnavailableError('Nobody can be signed in: revoked sessions could not be read for a minute', {
      next: ['infra services status'],
    });
  }

  isRevoked(session: SessionId): boolean {
    return this.#revoked.has(session);
  }

  /** The public keys that are published. */
  get jwks(): JWK[] {
    return [...this.#keys.values()].map((key) => key.jwk);
  }

  /** The key of that name; one that is not known is looked up in the database, at most once a second. */
  async key(kid: string): Promise<CryptoKey | undefined> {
    const known = this.#find(kid);
    if (known !== undefined) return known;
    if (performance.now() - this.#askedForUnknownKey < unknownKeyReloadMs) {
      await this.#running;
    } else {
      this.#askedForUnknownKey = performance.now();
      await this.reload();
    }
    return this.#find(kid);
  }

  /** Calls `listener` after the set of keys has changed. */
  onKeysChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Reads everything anew; calls that come while one runs are answered by one more that begins after it. */
  reload(): Promise<void> {
    if (this.#running !== undefined) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#loadUntilQuiet().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#retry);
    await this.#unlisten?.();
    this.#unlisten = undefined;
  }

  async #loadUntilQuiet(): Promise<void> {
    do {
      this.#again = false;
      await this.#load();
    } while (this.#again);
  }

  async #load(): Promise<void> {
    const startedAt = performance.now();
    const [published, revoked] = await Promise.all([
      publishedKeys(this.#database, this.#overlapSeconds),
      revokedSessions(this.#database, graceSeconds),
    ]);
    const keys = new Map<string, TrustedKey>();
    for (const { kid, publicJwk, retiredAt } of published) {
      const key = this.#keys.get(kid)?.key ?? ((await importJWK(publicJwk, signatureAlgorithm)) as CryptoKey);
      const until = retiredAt && { until: retiredAt.getTime() + this.#overlapSeconds * 1000 };
      keys.set(kid, { key, jwk: publicJwk, ...until });
    }
    const removed = [...this.#keys.keys()].some((kid) => !keys.has(kid));
    this.#keys = keys;
    // Added to what is there: a session that was ended stays so.
    for (const { id, expiresAt } of revoked) this.#revoke(id, expiresAt.getTime());
    for (const [id, until] of this.#revoked) if (until < Date.now()) this.#revoked.delete(id);
    this.#loadedAt = startedAt;
    if (removed) for (const listener of this.#listeners) listener();
  }

  #find(kid: string): CryptoKey | undefined {
    const found = this.#keys.get(kid);
    return found === undefined || (found.until !== undefined && found.until < Date.now()) ? undefined : found.key;
  }

  #revoke(session: SessionId, expiresAtMs: number): void {
    this.#revoked.set(session, expiresAtMs + graceSeconds * 1000);
  }

  /** A failure is not lost: it is tried again, the state grows stale meanwhile, and `assertFresh` says so to every caller. */
  #reloadInBackground(): void {
    clearTimeout(this.#retry);
    this.reload().catch(() => {
      clearTimeout(this.#retry);
      if (!this.#closed) this.#retry = setTimeout(() => this.#reloadInBackground(), retryMs).unref();
    });
  }
}
