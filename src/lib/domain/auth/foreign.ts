import { hash } from 'node:crypto';
import { decodeJwt, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { type Claims, confirmationSchema, refuse, scopesOf } from './claims.ts';
import type { TokenPolicy, TrustedIssuer } from './policy.ts';
import { toRefusal } from './refusal.ts';

const clockSkewSeconds = 5;
/** What issuers sign for something else (RFC 9449, RFC 8417, OpenID Connect Back-Channel Logout). */
const otherTypes: ReadonlySet<string | undefined> = new Set(['dpop+jwt', 'logout+jwt', 'secevent+jwt']);

/** Whom a token of another issuer speaks of. */
export interface ForeignSubject {
  readonly issuer: string;
  readonly subject: string;
  /** The service account that the configuration has it stand for; absent: the person who linked that identity. */
  readonly serviceAccount?: string | undefined;
  /** The audience of the resource that it was shown to. */
  readonly resource: string;
  /** The most that it is good for. */
  readonly scopes: readonly string[];
  /** Of the token, in seconds since the epoch. */
  readonly issuedAt: number;
}

/** Whom it is here. */
export interface KnownSubject {
  readonly userId: UserId;
  readonly userName: string;
  readonly sessionId: SessionId;
  /** Of the scopes, those that this user may have now. */
  readonly scopes: readonly string[];
  readonly accessVersion: number;
}

/** What tokens of other issuers need to be understood. */
export interface ForeignTrust {
  /** The keys of an issuer. What it throws that is no verdict on a token says that they could not be read. */
  keys(issuer: TrustedIssuer): JWTVerifyGetKey;
  /**
   * Who that is here; undefined: nobody; `ended`: the sign-in that the token is of was ended since.
   * @throws DatabaseUnavailableError
   */
  find(subject: ForeignSubject): Promise<KnownSubject | 'ended' | undefined>;
}

/** The issuer of a token, if it is one that the resource trusts beside ours. Nothing of the token is believed by that. */
export function foreignIssuer(
  token: string,
  ours: string,
  policy: TokenPolicy | undefined,
): TrustedIssuer[] | undefined {
  if (policy === undefined || policy.issuers.length === 0) return undefined;
  let iss: string | undefined;
  try {
    iss = decodeJwt(token).iss;
  } catch {
    return undefined; // then it is no token of ours either, and is refused as that
  }
  const named = iss === ours ? [] : policy.issuers.filter(({ issuer }) => issuer === iss);
  return named.length === 0 ? undefined : named;
}

/**
 * The claims of a token of another issuer, as if it had been issued here for that resource: its subject is one of our
 * users, and its scopes are no more than the issuer is trusted with and the user may have.
 * @throws UnauthenticatedError; DatabaseUnavailableError; UpstreamUnavailableError when the issuer's keys can't be read
 */
export async function foreignClaims(
  token: string,
  candidates: readonly TrustedIssuer[],
  policy: TokenPolicy,
  trust: ForeignTrust,
): Promise<Claims> {
  const { payload, issuer } = await firstThatTakes(token, candidates, trust);
  const subject = payload[issuer.subjectClaim];
  if (typeof subject !== 'string' || subject === '') throw refuse('malformed');
  const { iat = 0, exp = 0 } = payload;
  const end = Math.min(exp, iat + policy.tokenTtlSeconds);
  if (end <= Date.now() / 1000) throw refuse('expired');
  const cnf = payload['cnf'] === undefined ? undefined : confirmationSchema.safeParse(payload['cnf']);
  if (cnf?.success === false) throw refuse('malformed');
  const known = await trust.find({
    issuer: issuer.issuer,
    subject,
    serviceAccount: issuer.serviceAccount,
    resource: policy.audience,
    scopes: scopesFor(payload, issuer),
    issuedAt: iat,
  });
  if (known === undefined) throw refuse('issuer');
  if (known === 'ended') throw refuse('revoked');
  return Object.freeze({
    sub: known.userId,
    name: known.userName,
    sid: known.sessionId,
    // Its own may be anybody's: another issuer gives them.
    jti: hash('sha256', token, 'base64url'),
    iss: issuer.issuer,
    aud: policy.audience,
    client: clientOf(payload, issuer),
    scopes: Object.freeze([...known.scopes]),
    iat,
    exp: end,
    accessVersion: known.accessVersion,
    ...(cnf === undefined ? {} : { cnf: cnf.data }),
  });
}

/** The same issuer may be there several times, for different of its tokens: the first whose demands are met counts. */
async function firstThatTakes(token: string, candidates: readonly TrustedIssuer[], trust: ForeignTrust) {
  let refusal: unknown = refuse('issuer');
  for (const issuer of candidates) {
    try {
      const payload = await verified(token, issuer, trust);
      if (meets(payload, issuer)) return { payload, issuer };
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal;
}

async function verified(token: string, issuer: TrustedIssuer, trust: ForeignTrust): Promise<JWTPayload> {
  const { payload, protectedHeader } = await jwtVerify(token, trust.keys(issuer), {
    algorithms: [...issuer.algorithms],
    issuer: issuer.issuer,
    audience: issuer.audience,
    clockTolerance: clockSkewSeconds,
    requiredClaims: ['aud', 'exp', 'iat'],
  }).catch((error: unknown) => {
    throw toRefusal(error);
  });
  const type = protectedHeader.typ?.toLowerCase().replace(/^application\//, '');
  // A logout token names issuer, audience and subject as a token to call with does.
  if (otherTypes.has(type) || payload['events'] !== undefined) throw refuse('type');
  // One audience, as with our own: a token that opens several doors is stolen behind any of them.
  if (Array.isArray(payload.aud) && payload.aud.length !== 1) throw refuse('audience');
  if ((payload.iat ?? 0) > Date.now() / 1000 + clockSkewSeconds) throw refuse('not_yet_valid');
  return payload;
}

function meets(payload: JWTPayload, { claims }: TrustedIssuer): boolean {
  return [...claims].every(([name, values]) => {
    const value = payload[name];
    return (typeof value === 'string' || typeof value === 'boolean') && values.includes(String(value));
  });
}

function scopesFor(payload: JWTPayload, { scopes, scopeClaim }: TrustedIssuer): readonly string[] {
  if (scopeClaim === undefined) return scopes;
  const claimed = payload[scopeClaim];
  const list = Array.isArray(claimed) ? claimed : scopesOf(typeof claimed === 'string' ? claimed : '');
  return scopes.filter((scope) => list.includes(scope));
}

function clientOf(payload: JWTPayload, issuer: TrustedIssuer): string {
  const named = payload['client_id'] ?? payload['azp'];
  return `${issuer.issuer}#${typeof named === 'string' ? named : 'any'}`.slice(0, 500);
}
