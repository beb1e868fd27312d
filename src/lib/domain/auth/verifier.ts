import { hash } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { Database } from '../../infra/database/connection.ts';
import type { UnauthenticatedError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { type Claims, payloadSchema, refuse, scopeSchema } from './claims.ts';
import { type KeyService, type PublicKeySet, signatureAlgorithm } from './keys.ts';
import { TrustState } from './trust.ts';

const clockSkewSeconds = 5;
const cacheMs = 60_000;
const cacheEntries = 10_000;
/** Ours have some 700 characters. */
const maxTokenLength = 8192;

interface CacheEntry {
  readonly claims: Claims;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/**
 * Verifies access tokens of this instance. A good one is remembered by its SHA-256 until it expires, 60 s at most;
 * whether its session was ended is looked up every time.
 */
export class TokenVerifier {
  readonly #issuer: string;
  readonly #maxTtlSeconds: number;
  readonly #addresses: readonly string[];
  readonly #trust: TrustState;
  /** In order of last use. */
  readonly #cache = new Map<string, CacheEntry>();

  private constructor(
    trust: TrustState,
    options: { readonly issuer: string; readonly maxTtlSeconds: number; readonly addresses?: readonly string[] },
  ) {
    this.#trust = trust;
    this.#issuer = options.issuer;
    this.#maxTtlSeconds = options.maxTtlSeconds;
    this.#addresses = options.addresses ?? [];
    // What a removed key signed must not live on in memory.
    trust.onKeysChanged(() => this.#cache.clear());
  }

  /** @throws DatabaseUnavailableError when keys and revocations can't be read: then there is no verifier */
  static async open(deps: {
    readonly database: Database;
    readonly keys: KeyService;
    readonly issuer: string;
    readonly maxTtlSeconds: number;
    /** Of the instance, the published one first: what is bound to one of the others is good for that one too. */
    readonly addresses?: readonly string[];
  }): Promise<TokenVerifier> {
    const trust = await TrustState.open(deps.database, deps.keys.overlapSeconds);
    return new TokenVerifier(trust, deps);
  }

  /** The public keys that tokens are verified with, from memory. */
  get jwks(): PublicKeySet {
    return { keys: this.#trust.jwks };
  }

  /** @throws DatabaseUnavailableError when it can no longer tell whose session was ended */
  assertFresh(): void {
    this.#trust.assertFresh();
  }

  /**
   * The claims of a token that was issued here, for that audience alone, and is still good.
   * @throws UnauthenticatedError with `data.reason`; DatabaseUnavailableError when revocations are not known
   */
  async verify(token: string, audience: string): Promise<Claims> {
    this.#trust.assertFresh();
    if (token.length > maxTokenLength) throw refuse('malformed');
    const digest = hash('sha256', token, 'base64');
    const claims = this.#recall(digest) ?? (await this.#check(token, digest));
    if (claims.aud !== audience && !this.#isOtherName(claims.aud, audience)) throw refuse('audience');
    if (this.#trust.isRevoked(claims.sid)) throw refuse('revoked');
    return claims;
  }

  async close(): Promise<void> {
    this.#cache.clear();
    await this.#trust.close();
  }

  /** Whether two audiences are one resource, by two of the addresses of the instance. */
  #isOtherName(given: string, audience: string): boolean {
    const [own, ...others] = this.#addresses;
    if (own === undefined || !audience.startsWith(`${own}/`)) return false;
    return others.some((other) => given === `${other}${audience.slice(own.length)}`);
  }

  #recall(digest: string): Claims | undefined {
    const entry = this.#cache.get(digest);
    if (entry === undefined) return undefined;
    this.#cache.delete(digest);
    if (entry.until <= Date.now()) return undefined;
    this.#cache.set(digest, entry);
    return entry.claims;
  }

  #remember(digest: string, claims: Claims): void {
    this.#cache.set(digest, { claims, until: Math.min(claims.exp * 1000, Date.now() + cacheMs) });
    if (this.#cache.size <= cacheEntries) return;
    const [oldest] = this.#cache.keys();
    if (oldest !== undefined) this.#cache.delete(oldest);
  }

  async #check(token: string, digest: string): Promise<Claims> {
    const claims = await this.#verifySignature(token);
    this.#remember(digest, claims);
    return claims;
  }

  async #verifySignature(token: string): Promise<Claims> {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const key = typeof kid === 'string' ? await this.#trust.key(kid) : undefined;
        if (key === undefined) throw refuse('unknown_key');
        return key;
      },
      {
        algorithms: [signatureAlgorithm],
        typ: 'at+jwt',
        issuer: this.#issuer,
        clockTolerance: clockSkewSeconds,
        requiredClaims: ['aud', 'sub', 'exp', 'iat', 'jti'],
      },
    ).catch((error: unknown) => {
      throw toRefusal(error);
    });
    return this.#toClaims(payload);
  }

  /** What holds beyond the signature: a single audience, times that make sense, every claim in its form. */
  #toClaims(payload: unknown): Claims {
    const parsed = payloadSchema.safeParse(payload);
    if (!parsed.success) throw refuse('malformed');
    const { sub, sid, scope, client_id: client, ...rest } = parsed.data;
    if (rest.iat > Date.now() / 1000 + clockSkewSeconds) throw refuse('not_yet_valid');
    if (rest.exp - rest.iat > this.#maxTtlSeconds) throw refuse('lifetime');
    const scopes = scope === '' ? [] : scope.split(' ');
    if (!scopes.every((item) => scopeSchema.safeParse(item).success)) throw refuse('malformed');
    return Object.freeze({ ...rest, sub: sub as UserId, sid: sid as SessionId, client, scopes: Object.freeze(scopes) });
  }
}

/** Our refusal for jose's error; a fault that is no verdict on the token (the database away) passes as it is. */
function toRefusal(error: unknown): UnauthenticatedError | unknown {
  if (!(error instanceof errors.JOSEError)) return error;
  if (error instanceof errors.JWTExpired) return refuse('expired', error);
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return refuse('issuer', error);
    if (error.claim === 'aud') return refuse('audience', error);
    if (error.claim === 'typ') return refuse('type', error);
    if (error.claim === 'nbf') return refuse('not_yet_valid', error);
    return refuse('malformed', error);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refuse('algorithm', error);
  if (error instanceof errors.JWSSignatureVerificationFailed) return refuse('signature', error);
  return refuse('malformed', error);
}
