import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import { PreconditionError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { recordIdentityEvent } from './events.ts';
import {
  activateNextKey,
  deleteRetiredKeys,
  insertNextKey,
  type KeyOwner,
  keyWithStatus,
  lockKeys,
  publishedKeys,
  replaceSealed,
  retireActiveKey,
  revokeRetiredKeys,
  sealedKeys,
} from './repository.ts';

/** The signature algorithm of every token of ours: pinned, never taken from a token (RFC 8725 section 3.1). */
export const signatureAlgorithm = 'ES256';

/** What is added to the longest life of a token before a retired key is forgotten: clock skew and a late signature. */
const overlapSlackSeconds = 60;
/** How long a process goes on believing that it knows which key signs, unless it hears otherwise; well below the slack. */
const rememberedMs = 5000;
/** Unsealing takes milliseconds; more keys than that sign in no instance. */
const unsealedEntries = 200;

/** A JWK Set (RFC 7517 section 5) of public keys. */
export interface PublicKeySet {
  readonly keys: readonly JWK[];
}

export interface SigningKey {
  readonly kid: string;
  readonly key: CryptoKey;
}

/** What a change of keys is about. */
export interface KeyChange {
  /** The audience whose own key it is; absent: the key of all that have none of their own. */
  readonly resource?: string | undefined;
  /** Older keys count no more, and with them every token that they signed. */
  readonly revoke?: boolean | undefined;
  /** Who wants it, for the record. */
  readonly actorId?: UserId | undefined;
}

export interface KeySwitch {
  /** The key that signs now. */
  readonly active: string;
  /** The one that signed before. */
  readonly retired?: string;
  /** The keys whose tokens are refused from now on. */
  readonly revoked: readonly string[];
}

/**
 * The keys that sign access tokens: one for each resource that has keys of its own, and one for all others. One key
 * signs; the next one is published with it ahead of its time, so that a switch surprises no verifier; a retired one
 * stays published until the last token that it signed has expired.
 */
export class KeyService {
  readonly #database: Database;
  readonly #sealer: Pick<SecretStore, 'seal' | 'open'>;
  readonly overlapSeconds: number;
  /** The keys that sign, by their owner; asked for anew after a while, and as soon as a change was heard of. */
  readonly #signing = new Map<KeyOwner, { readonly found: Promise<SigningKey>; readonly until: number }>();
  readonly #unsealed = new Map<string, CryptoKey>();

  constructor(deps: {
    readonly database: Database;
    readonly sealer: Pick<SecretStore, 'seal' | 'open'>;
    /** The longest life of any token, in seconds. */
    readonly maxTokenTtlSeconds: number;
  }) {
    this.#database = deps.database;
    this.#sealer = deps.sealer;
    this.overlapSeconds = deps.maxTokenTtlSeconds + overlapSlackSeconds;
  }

  /** Makes sure that an owner has a signing key and a next one. Safe in several processes at once. */
  async ensureKey(resource?: string): Promise<void> {
    if (await this.#isComplete(resource)) return;
    await this.#database.transaction(async (tx) => {
      await lockKeys(tx);
      if ((await keyWithStatus(tx, 'next', resource)) === undefined) await this.#publishNext(tx, resource);
      if ((await keyWithStatus(tx, 'active', resource)) !== undefined) return;
      await activateNextKey(tx, resource);
      await this.#publishNext(tx, resource);
    });
  }

  /**
   * The published next key begins to sign, the active one retires, and a new next one is published, in one
   * transaction. With `revoke` every older key of that owner is removed at once: the tokens that they signed stop
   * working. Keys of other owners are left alone.
   */
  async rotate({ resource, revoke = false, actorId }: KeyChange = {}): Promise<KeySwitch> {
    await this.ensureKey(resource);
    const change = await this.#database.transaction(async (tx) => {
      await lockKeys(tx);
      const retired = await retireActiveKey(tx, resource);
      const active = await activateNextKey(tx, resource);
      if (active === undefined) throw new PreconditionError('There is no next signing key to switch to');
      await this.#publishNext(tx, resource);
      await deleteRetiredKeys(tx, this.overlapSeconds);
      const revoked = revoke ? await revokeRetiredKeys(tx, resource) : [];
      const data = { kid: active, ...(retired === undefined ? {} : { retired }), ...(revoke ? { revoked } : {}) };
      await recordIdentityEvent(tx, { type: revoke ? 'key_revoked' : 'key_rotated', actorId, resource, data });
      return { active, ...(retired === undefined ? {} : { retired }), revoked };
    });
    this.forget();
    return change;
  }

  /** The public keys that a token may be signed with now. */
  async jwks(): Promise<PublicKeySet> {
    const keys = await publishedKeys(this.#database, this.overlapSeconds);
    return { keys: keys.map((key) => key.publicJwk) };
  }

  /**
   * The key to sign with now. The database is asked every few seconds which one that is, and after `forget`: a key may
   * sign that much longer than it should, and stays published longer than that.
   * @param resource the audience, where it has keys of its own
   */
  async signingKey(resource?: string): Promise<SigningKey> {
    const known = this.#signing.get(resource);
    if (known !== undefined && known.until > performance.now()) return known.found;
    const found = this.#load(resource);
    this.#signing.set(resource, { found, until: performance.now() + rememberedMs });
    found.catch(() => this.#signing.delete(resource));
    return found;
  }

  /** Which key signs may have changed: the database is asked at the next signature. */
  forget(): void {
    this.#signing.clear();
  }

  async #load(resource: KeyOwner): Promise<SigningKey> {
    const row =
      (await keyWithStatus(this.#database, 'active', resource)) ?? (resource && (await this.#first(resource)));
    if (!row) {
      throw new PreconditionError('There is no signing key yet', { next: ['infra services restart api'] });
    }
    const known = this.#unsealed.get(row.kid);
    if (known !== undefined) return { kid: row.kid, key: known };
    const jwk = JSON.parse(new TextDecoder().decode(await this.#sealer.open(row.privateJwe))) as JWK;
    // A sealed key moved to another row would sign under a name that is not its own.
    if ((await calculateJwkThumbprint(jwk)) !== row.kid)
      throw new PreconditionError(`The signing key ${row.kid} is damaged`);
    const key = (await importJWK(jwk, signatureAlgorithm)) as CryptoKey;
    if (this.#unsealed.size >= unsealedEntries) this.#unsealed.clear();
    this.#unsealed.set(row.kid, key);
    return { kid: row.kid, key };
  }

  /** A resource that came to keys of its own while this process was running. */
  async #first(resource: string): Promise<{ readonly kid: string; readonly privateJwe: string } | undefined> {
    await this.ensureKey(resource);
    return keyWithStatus(this.#database, 'active', resource);
  }

  /** Seals every private key anew, under the master key of today. @returns how many */
  async reseal(): Promise<number> {
    return this.#database.transaction(async (tx) => {
      await lockKeys(tx);
      const keys = await sealedKeys(tx);
      for (const { kid, privateJwe } of keys) {
        const bytes = await this.#sealer.open(privateJwe);
        await replaceSealed(tx, { kid, privateJwe: await this.#sealer.seal(bytes) });
      }
      return keys.length;
    });
  }

  async #isComplete(resource: KeyOwner): Promise<boolean> {
    const [active, next] = await Promise.all([
      keyWithStatus(this.#database, 'active', resource),
      keyWithStatus(this.#database, 'next', resource),
    ]);
    return active !== undefined && next !== undefined;
  }

  async #publishNext(tx: Queryable, resource: KeyOwner): Promise<void> {
    const pair = await generateKeyPair(signatureAlgorithm, { extractable: true });
    const [jwk, privateJwk] = await Promise.all([exportJWK(pair.publicKey), exportJWK(pair.privateKey)]);
    // RFC 7638: a name made of the key itself is never used for another.
    const kid = await calculateJwkThumbprint(jwk);
    const privateJwe = await this.#sealer.seal(new TextEncoder().encode(JSON.stringify(privateJwk)));
    const publicJwk = { ...jwk, kid, alg: signatureAlgorithm, use: 'sig' };
    await insertNextKey(tx, { kid, resource, publicJwk, privateJwe });
  }
}
