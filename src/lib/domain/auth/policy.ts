/** What a resource demands of its tokens beyond that they are good. */
export interface TokenPolicy {
  readonly audience: string;
  /** No token lives longer, in seconds. */
  readonly tokenTtlSeconds: number;
  /** Only tokens that are bound to a key of the client are taken (RFC 9449). */
  readonly requireDpop: boolean;
  /** Its tokens are signed with a key of its own, and those of the general key are refused. */
  readonly ownKey: boolean;
  /** Issuers whose tokens it takes beside those of the instance. */
  readonly issuers: readonly TrustedIssuer[];
}

/** An issuer that a resource trusts within limits. */
export interface TrustedIssuer {
  readonly issuer: string;
  /** Absent: the one of its discovery document. */
  readonly jwksUri?: string;
  /** Whether its keys may be asked for by http, and at addresses that are not public. */
  readonly privateNetwork: boolean;
  /** The `aud` that its tokens must have. */
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Name of the service account that its tokens stand for; absent: the person of the subject. */
  readonly serviceAccount?: string;
  readonly subjectClaim: string;
  /** What a token must say: the claim has one of the values. */
  readonly claims: ReadonlyMap<string, readonly string[]>;
  /** The most that its tokens are good for. */
  readonly scopes: readonly string[];
  /** The claim with the scopes of a token; absent: it has all of them. */
  readonly scopeClaim?: string;
}

/** Who knows what each resource demands. */
export interface TokenPolicies {
  byAudience(audience: string): TokenPolicy | undefined;
}
