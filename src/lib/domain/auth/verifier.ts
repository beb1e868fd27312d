import { hash } from 'node:crypto';
import { jwtVerify } from 'jose';
import type { Database } from '../../infra/database/connection.ts';
import { type Claims, parsePayload, refuse } from './claims.ts';
import { checkProof, type ShownProof } from './dpop.ts';
import { type ForeignTrust, foreignClaims, foreignIssuer } from './foreign.ts';
import { type KeyService, type PublicKeySet, signatureAlgorithm } from './keys.ts';
import { isPersonalToken, personalClaims, type TokenLookup } from './personal.ts';
import type { TokenPolicies, TokenPolicy } from './policy.ts';
import { DatabaseProofs } from './proofs.ts';
import { toRefusal } from './refusal.ts';
import { type TrustedKey, TrustState } from './trust.ts';

const clockSkewSeconds = 5;
const cacheMs = 60_000;
const cacheEntries = 10_000;
/** How often proofs that no longer count are removed, in ms. */
const sweepEveryMs = 60_000;
/** Ours have some 700 characters. */
const maxTokenLength = 8192;

interface CacheEntry {
  readonly claims: Claims;
  /** Whose key signed it; absent for the general one, and for what no key of ours signed. */
  readonly resource: string | undefined;
  /** Issued by us and signed: the demands on its key and life are those of the resource. */
  readonly signed: boolean;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

type Verified = Omit<CacheEntry, 'until'>;

export interface VerifierOptions {
  readonly issuer: string;
  readonly maxTtlSeconds: number;
  /** Of the instance, the published one first: what is bound to one of the others is good for that one too. */
  readonly addresses?: readonly string[] | undefined;
  /** What single resources demand; asked at each token. */
  readonly policies?: TokenPolicies | undefined;
  /** Without it personal access tokens are refused. */
  readonly personal?: TokenLookup | undefined;
  /** Without it tokens of other issuers are refused. */
  readonly foreign?: ForeignTrust | undefined;
}

/**
 * Verifies access tokens for the resources of this instance: signed ones of its own, personal ones, and those of issuers
 * that a resource trusts. A good one is remembered by its SHA-256 until it expires, 60 s at most; whether it, its
 * session or what its user may do was taken back is looked up every time.
 */
export class TokenVerifier {
  readonly #issuer: string;
  readonly #maxTtlSeconds: number;
  readonly #addresses: readonly string[];
  readonly #policies: TokenPolicies | undefined;
  readonly #personal: TokenLookup | undefined;
  readonly #foreign: ForeignTrust | undefined;
  readonly #proofs: DatabaseProofs;
  readonly #sweeping: NodeJS.Timeout;
  readonly #trust: TrustState;
  /** In order of last use. */
  readonly #cache = new Map<string, CacheEntry>();
  /** Of what the cache holds that no key of ours signed: the rights behind those may change. */
  readonly #looked = new Set<string>();
  #reloads = 0;
  #keyChanges = 0;

  private constructor(trust: TrustState, proofs: DatabaseProofs, options: VerifierOptions) {
    this.#trust = trust;
    this.#proofs = proofs;
    this.#issuer = options.issuer;
    this.#maxTtlSeconds = options.maxTtlSeconds;
    this.#addresses = options.addresses ?? [];
    this.#policies = options.policies;
    this.#personal = options.personal;
    this.#foreign = options.foreign;
    // What a removed key signed must not live on in memory, nor get there later by a check that was under way.
    trust.onKeysChanged(() => {
      this.#keyChanges += 1;
      this.#cache.clear();
    });
    trust.onReload(() => this.#forgetLooked());
    // One that fails is made up for by the next.
    this.#sweeping = setInterval(() => void proofs.sweep().catch(() => {}), sweepEveryMs).unref();
  }

  /** @throws DatabaseUnavailableError when keys and revocations can't be read: then there is no verifier */
  static async open(
    deps: VerifierOptions & { readonly database: Database; readonly keys: KeyService },
  ): Promise<TokenVerifier> {
    const trust = await TrustState.open(deps.database, deps.keys.overlapSeconds);
    // Which key signs is asked anew as soon as a change is heard of.
    trust.onReload(() => deps.keys.forget());
    return new TokenVerifier(trust, new DatabaseProofs(deps.database), deps);
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
   * The claims of a token that is good for that audience alone.
   * @param shown the proof that came with it, when it was shown by the scheme DPoP
   * @throws UnauthenticatedError with `data.reason`; DatabaseUnavailableError when revocations are not known;
   *   UpstreamUnavailableError when the keys of another issuer can't be read
   */
  async verify(token: string, audience: string, shown?: ShownProof): Promise<Claims> {
    const claims = await this.examine(token, audience);
    if (claims.cnf !== undefined || shown !== undefined || this.#policies?.byAudience(audience)?.requireDpop) {
      await this.#assertBinding(token, claims, audience, shown);
    }
    return claims;
  }

  /**
   * The claims of a token that is good for that audience, in whoever's hands: the authorization server is shown tokens by
   * those who got them to serve somebody, or to give them back. Nobody is let in by it.
   * @throws what `verify` throws, but for the proof
   */
  async examine(token: string, audience: string): Promise<Claims> {
    this.#trust.assertFresh();
    if (token.length > maxTokenLength) throw refuse('malformed');
    const digest = hash('sha256', token, 'base64');
    const policy = this.#policies?.byAudience(audience);
    const found = this.#recall(digest) ?? (await this.#check(token, digest, audience, policy));
    const { claims } = found;
    if (claims.aud !== audience && !this.#isOtherName(claims.aud, audience)) throw refuse('audience');
    if (found.signed) this.#assertSigned(found, policy);
    const revoked = this.#trust.isRevoked(claims.sid) || this.#trust.isTokenRevoked(claims.jti);
    if (revoked) throw refuse('revoked');
    if (this.#trust.isOutdated(claims.sub, claims.accessVersion ?? 0)) throw refuse('access_changed');
    return claims;
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeping);
    this.#cache.clear();
    await this.#trust.close();
  }

  /** Whether two audiences are one resource, by two of the addresses of the instance. */
  #isOtherName(given: string, audience: string): boolean {
    const [own, ...others] = this.#addresses;
    if (own === undefined || !audience.startsWith(`${own}/`)) return false;
    return others.some((other) => given === `${other}${audience.slice(own.length)}`);
  }

  /** A key signs for its own resource alone, and the general one for those that have none. */
  #assertSigned({ claims, resource }: Verified, policy: TokenPolicy | undefined): void {
    if (resource === undefined ? policy?.ownKey : resource !== claims.aud) throw refuse('other_key');
    if (policy !== undefined && claims.exp - claims.iat > policy.tokenTtlSeconds) throw refuse('lifetime');
  }

  async #assertBinding(token: string, claims: Claims, audience: string, shown: ShownProof | undefined): Promise<void> {
    if (claims.cnf === undefined) throw refuse('unbound');
    if (shown === undefined) throw refuse('bound');
    const origins = this.#addresses.length === 0 ? [new URL(audience).origin] : this.#addresses;
    await checkProof(shown, token, claims.cnf.jkt, origins, this.#proofs);
  }

  #recall(digest: string): Verified | undefined {
    const entry = this.#cache.get(digest);
    if (entry === undefined) return undefined;
    this.#cache.delete(digest);
    if (entry.until <= Date.now()) return undefined;
    this.#cache.set(digest, entry);
    return entry;
  }

  #remember(digest: string, found: Verified): void {
    this.#cache.set(digest, { ...found, until: Math.min(found.claims.exp * 1000, Date.now() + cacheMs) });
    if (!found.signed) this.#looked.add(digest);
    if (this.#cache.size <= cacheEntries) return;
    const [oldest] = this.#cache.keys();
    if (oldest === undefined) return;
    this.#cache.delete(oldest);
    this.#looked.delete(oldest);
  }

  #forgetLooked(): void {
    this.#reloads += 1;
    for (const digest of this.#looked) this.#cache.delete(digest);
    this.#looked.clear();
  }

  async #check(token: string, digest: string, audience: string, policy: TokenPolicy | undefined): Promise<Verified> {
    const reloads = this.#reloads;
    const foreign = this.#foreign === undefined ? undefined : foreignIssuer(token, this.#issuer, policy);
    if (foreign !== undefined && policy !== undefined && this.#foreign !== undefined) {
      // What it is good for depends on the resource that it is shown to.
      const own = `${digest} ${audience}`;
      const known = this.#recall(own);
      if (known !== undefined) return known;
      const claims = await foreignClaims(token, foreign, policy, this.#foreign);
      return this.#keep(own, { claims, resource: undefined, signed: false }, reloads);
    }
    if (isPersonalToken(token)) {
      if (this.#personal === undefined) throw refuse('malformed');
      const claims = await personalClaims(token, this.#issuer, this.#personal);
      return this.#keep(digest, { claims, resource: undefined, signed: false }, reloads);
    }
    const keys = this.#keyChanges;
    const found = await this.#verifySignature(token);
    if (keys === this.#keyChanges) this.#remember(digest, found);
    return found;
  }

  /** What was looked up before a change was heard of is not remembered. */
  #keep(digest: string, found: Verified, reloads: number): Verified {
    if (reloads === this.#reloads) this.#remember(digest, found);
    return found;
  }

  async #verifySignature(token: string): Promise<Verified> {
    let signedWith: TrustedKey | undefined;
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        signedWith = typeof kid === 'string' ? await this.#trust.key(kid) : undefined;
        if (signedWith === undefined) throw refuse('unknown_key');
        return signedWith.key;
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
    const claims = parsePayload(payload);
    if (claims.iat > Date.now() / 1000 + clockSkewSeconds) throw refuse('not_yet_valid');
    if (claims.exp - claims.iat > this.#maxTtlSeconds) throw refuse('lifetime');
    return { claims, resource: signedWith?.resource, signed: true };
  }
}
