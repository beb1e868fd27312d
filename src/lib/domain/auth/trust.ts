import { type CryptoKey, importJWK, type JWK } from 'jose';
import type { Database } from '../../infra/database/connection.ts';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { signatureAlgorithm } from './keys.ts';
import { changedAccess, type KeyOwner, publishedKeys, revokedSessions, revokedTokens } from './repository.ts';

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

/** A key that tokens may be signed with. */
export interface TrustedKey {
  readonly key: CryptoKey;
  /** The one audience whose tokens it signs; absent: those of all that have no key of their own. */
  readonly resource: KeyOwner;
}

interface KnownKey extends TrustedKey {
  readonly jwk: JWK;
  /** Milliseconds since the epoch after which nothing that it signed counts; absent while it is not retired. */
  readonly until?: number;
}

/**
 * What a verifier holds in memory: the public keys, the ended sessions, single tokens that were revoked, and the users
 * from whom something was taken within the life of a token. The database announces changes; a lost
 * announcement is made up for by a reload after each reconnect and every 15 s. An announcement is a reason to look and
 * never believed by its words: every role of a database may NOTIFY on every channel, those of MCP servers too.
 */
export class TrustState {
  readonly #database: Database;
  readonly #overlapSeconds: number;
  #keys = new Map<string, KnownKey>();
  /** The public halves of these: the same list until the next reload. */
  #jwks: readonly JWK[] = [];
  /** Ended sessions and when their last token expires, in ms since the epoch. */
  readonly #revoked = new Map<SessionId, number>();
  /** Single tokens, by `jti`, likewise. */
  readonly #revokedTokens = new Map<string, number>();
  /** The least `access_version` that a token of a user may have. */
  #versions = new Map<UserId, number>();
  readonly #listeners = new Set<() => void>();
  readonly #reloadListeners = new Set<() => void>();
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

  isTokenRevoked(jti: string): boolean {
    return this.#revokedTokens.has(jti);
  }

  /** Whether something was taken from the user since a token of that version was issued. */
  isOutdated(user: UserId, version: number): boolean {
    const least = this.#versions.get(user);
    return least !== undefined && version < least;
  }

  /** The public keys that are published. */
  get jwks(): readonly JWK[] {
    return this.#jwks;
  }

  /** The key of that name; one that is not known is looked up in the database, at most once a second. */
  async key(kid: string): Promise<TrustedKey | undefined> {
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

  /** Calls `listener` after a key has gone. */
  onKeysChanged(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Calls `listener` after each reload: when the database announced something, and every 15 s. */
  onReload(listener: () => void): void {
    this.#reloadListeners.add(listener);
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
    const [published, revoked, tokens, changed] = await Promise.all([
      publishedKeys(this.#database, this.#overlapSeconds),
      revokedSessions(this.#database, graceSeconds),
      revokedTokens(this.#database, graceSeconds),
      changedAccess(this.#database, this.#overlapSeconds + graceSeconds),
    ]);
    const keys = new Map<string, KnownKey>();
    for (const { kid, resource, publicJwk, retiredAt } of published) {
      const key = this.#keys.get(kid)?.key ?? ((await importJWK(publicJwk, signatureAlgorithm)) as CryptoKey);
      const last = retiredAt && { until: retiredAt.getTime() + this.#overlapSeconds * 1000 };
      keys.set(kid, { key, resource, jwk: publicJwk, ...last });
    }
    const removed = [...this.#keys.keys()].some((kid) => !keys.has(kid));
    this.#keys = keys;
    this.#jwks = [...keys.values()].map((key) => key.jwk);
    // Added to what is there: what was ended stays so.
    for (const { id, expiresAt } of revoked) this.#revoked.set(id, until(expiresAt));
    for (const { jti, expiresAt } of tokens) this.#revokedTokens.set(jti, until(expiresAt));
    for (const known of [this.#revoked, this.#revokedTokens] as Map<string, number>[]) {
      for (const [id, end] of known) if (end < Date.now()) known.delete(id);
    }
    this.#versions = new Map(changed.map(({ id, version }) => [id, version]));
    this.#loadedAt = startedAt;
    if (removed) for (const listener of this.#listeners) listener();
    for (const listener of this.#reloadListeners) listener();
  }

  #find(kid: string): TrustedKey | undefined {
    const found = this.#keys.get(kid);
    return found === undefined || (found.until !== undefined && found.until < Date.now()) ? undefined : found;
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

function until(expiresAt: Date): number {
  return expiresAt.getTime() + graceSeconds * 1000;
}
