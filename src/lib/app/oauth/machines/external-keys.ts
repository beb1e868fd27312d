import { createLocalJWKSet, type FlattenedJWSInput, type JSONWebKeySet, type JWTHeaderParameters } from 'jose';
import { z } from 'zod';
import type { GuardedFetch } from '../../../infra/http/guarded-fetch.ts';

const maxBytes = 64 * 1024;
const timeoutMs = 3000;
const goodForMs = 600_000;
/** A token may name any key: the issuer is not asked for each. */
const askAgainMs = 30_000;

/** Where the keys of an issuer outside are. */
export interface ExternalKeySource {
  readonly issuer: string;
  /** Without it the issuer's discovery document says where. */
  readonly jwksUri?: string | undefined;
  /** An issuer within the own network, by http if need be. */
  readonly privateNetwork: boolean;
}

const discoverySchema = z.object({ issuer: z.string(), jwks_uri: z.url() });
const keySetSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })).max(100) });

type KeyFinder = ReturnType<typeof createLocalJWKSet>;

/** The published keys of one issuer outside, fetched when they are needed and kept for a while. */
export class ExternalKeys {
  readonly #source: ExternalKeySource;
  readonly #fetch: GuardedFetch;
  #find: KeyFinder | undefined;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(source: ExternalKeySource, fetch: GuardedFetch) {
    this.#source = source;
    this.#fetch = fetch;
  }

  /** The key of a token. @throws the error of jose when there is none; of the fetch when the issuer does not answer */
  async find(header: JWTHeaderParameters, token: FlattenedJWSInput): ReturnType<KeyFinder> {
    const age = performance.now() - this.#loadedAt;
    if (this.#find === undefined || age > goodForMs) await this.#load();
    try {
      return await this.#required()(header, token);
    } catch (error) {
      if (performance.now() - this.#loadedAt < askAgainMs) throw error;
      await this.#load();
      return await this.#required()(header, token);
    }
  }

  #required(): KeyFinder {
    if (this.#find === undefined) throw new Error('The keys of the issuer could not be read');
    return this.#find;
  }

  #load(): Promise<void> {
    // One that does not answer is not asked by everybody at once, nor all the time.
    if (performance.now() - this.#failedAt < askAgainMs / 10 && this.#loading === undefined) {
      return Promise.reject(new Error('The keys of the issuer could not be read a moment ago'));
    }
    this.#loading ??= this.#read()
      .catch((error: unknown) => {
        this.#failedAt = performance.now();
        throw error;
      })
      .finally(() => {
        this.#loading = undefined;
      });
    return this.#loading;
  }

  async #read(): Promise<void> {
    const { issuer } = this.#source;
    let { jwksUri } = this.#source;
    if (jwksUri === undefined) {
      const document = discoverySchema.parse(
        await this.#json(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`),
      );
      if (document.issuer !== issuer) throw new Error('The discovery document is of another issuer');
      jwksUri = document.jwks_uri;
    }
    const set = keySetSchema.parse(await this.#json(jwksUri));
    // A key that both sides share would let anybody sign who can check.
    const keys = set.keys.filter(({ kty }) => kty !== 'oct');
    this.#find = createLocalJWKSet({ keys } as JSONWebKeySet);
    this.#loadedAt = performance.now();
  }

  async #json(url: string): Promise<unknown> {
    const { privateNetwork } = this.#source;
    const { status, body } = await this.#fetch(url, { maxBytes, timeoutMs, privateNetwork });
    if (status !== 200) throw new Error(`${url} was answered with ${status}`);
    return JSON.parse(body.toString('utf8'));
  }
}
