import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import { PreconditionError } from '../../shared/errors.ts';
import {
  activateNextKey,
  deleteRetiredKeys,
  insertNextKey,
  keyWithStatus,
  lockKeys,
  publishedKeys,
  replaceSealed,
  retireActiveKey,
  sealedKeys,
} from './repository.ts';

/** The signature algorithm of every token of ours: pinned, never taken from a token (RFC 8725 section 3.1). */
export const signatureAlgorithm = 'ES256';

/** What is added to the longest life of a token before a retired key is forgotten: clock skew and a late signature. */
const overlapSlackSeconds = 60;

/** A JWK Set (RFC 7517 section 5) of public keys. */
export interface PublicKeySet {
  readonly keys: readonly JWK[];
}

export interface SigningKey {
  readonly kid: string;
  readonly key: CryptoKey;
}

/**
 * The keys that sign access tokens. One key signs; the next one is published with it ahead of its time, so that a
 * switch surprises no verifier; a retired one stays published until the last token that it signed has expired.
 */
export class KeyService {
  readonly #database: Database;
  readonly #sealer: Pick<SecretStore, 'seal' | 'open'>;
  readonly overlapSeconds: number;
  #signing: SigningKey | undefined;

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

  /** Makes sure that there is a signing key and a next one. Safe in several processes at once. */
  async ensureKey(): Promise<void> {
    if (await this.#isComplete(this.#database)) return;
    await this.#database.transaction(async (tx) => {
      await lockKeys(tx);
      if ((await keyWithStatus(tx, 'next')) === undefined) await this.#publishNext(tx);
      if ((await keyWithStatus(tx, 'active')) !== undefined) return;
      await activateNextKey(tx);
      await this.#publishNext(tx);
    });
  }

  /**
   * The published next key begins to sign, the active one retires, and a new next one is published, in one
   * transaction. With `revoke` every older key is removed at once: all tokens in circulation stop working.
   */
  async rotate(options: { readonly revoke?: boolean } = {}): Promise<{ active: string; retired?: string }> {
    await this.ensureKey();
    return this.#database.transaction(async (tx) => {
      await lockKeys(tx);
      const retired = await retireActiveKey(tx);
      const active = await activateNextKey(tx);
      if (active === undefined) throw new PreconditionError('There is no next signing key to switch to');
      await this.#publishNext(tx);
      await deleteRetiredKeys(tx, options.revoke === true ? 0 : this.overlapSeconds);
      return { active, ...(retired === undefined ? {} : { retired }) };
    });
  }

  /** The public keys that a token may be signed with now. */
  async jwks(): Promise<PublicKeySet> {
    const keys = await publishedKeys(this.#database, this.overlapSeconds);
    return { keys: keys.map((key) => key.publicJwk) };
  }

  /** The key to sign with now, unsealed once; the database is asked each time which one that is. */
  async signingKey(): Promise<SigningKey> {
    const row = await keyWithStatus(this.#database, 'active');
    if (row === undefined) {
      throw new PreconditionError('There is no signing key yet', { next: ['infra services restart api'] });
    }
    if (this.#signing?.kid === row.kid) return this.#signing;
    const jwk = JSON.parse(new TextDecoder().decode(await this.#sealer.open(row.privateJwe))) as JWK;
    // A sealed key moved to another row would sign under a name that is not its own.
    if ((await calculateJwkThumbprint(jwk)) !== row.kid)
      throw new PreconditionError(`The signing key ${row.kid} is damaged`);
    this.#signing = { kid: row.kid, key: (await importJWK(jwk, signatureAlgorithm)) as CryptoKey };
    return this.#signing;
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

  async #isComplete(connection: Queryable): Promise<boolean> {
    const [active, next] = await Promise.all([keyWithStatus(connection, 'active'), keyWithStatus(connection, 'next')]);
    return active !== undefined && next !== undefined;
  }

  async #publishNext(tx: Queryable): Promise<void> {
    const pair = await generateKeyPair(signatureAlgorithm, { extractable: true });
    const [publicJwk, privateJwk] = await Promise.all([exportJWK(pair.publicKey), exportJWK(pair.privateKey)]);
    // RFC 7638: a name made of the key itself is never used for another.
    const kid = await calculateJwkThumbprint(publicJwk);
    const privateJwe = await this.#sealer.seal(new TextEncoder().encode(JSON.stringify(privateJwk)));
    await insertNextKey(tx, { kid, publicJwk: { ...publicJwk, kid, alg: signatureAlgorithm, use: 'sig' }, privateJwe });
  }
}
