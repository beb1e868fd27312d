import { hash } from 'node:crypto';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { type Claims, refuse } from './claims.ts';

/** What every personal access token begins with: scanners of source code know it by that. */
const personalTokenPrefix = 'sp_pat_';

const form = /^sp_pat_[A-Za-z0-9_-]{43}$/;

/** A personal access token that is good, as its lookup found it. */
export interface FoundToken {
  readonly id: string;
  readonly userId: UserId;
  readonly userName: string;
  readonly sessionId: SessionId;
  /** The one resource that takes it. */
  readonly audience: string;
  /** What it may have now: of its own scopes, those that its user still may have. */
  readonly scopes: readonly string[];
  /** Of the user, when the scopes were made up. */
  readonly accessVersion: number;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** Who knows the personal access tokens. */
export interface TokenLookup {
  /**
   * The token with that SHA-256; undefined for one that is not there, was revoked, has expired or is of somebody who
   * may do nothing.
   * @throws DatabaseUnavailableError
   */
  find(hash: Uint8Array): Promise<FoundToken | undefined>;
}

export function isPersonalToken(token: string): boolean {
  return token.startsWith(personalTokenPrefix);
}

/**
 * The claims of a personal access token, in the form that those of a signed one have.
 * @throws UnauthenticatedError `revoked` for one that is not known; DatabaseUnavailableError
 */
export async function personalClaims(token: string, issuer: string, lookup: TokenLookup): Promise<Claims> {
  if (!form.test(token)) throw refuse('malformed');
  const found = await lookup.find(hash('sha256', token, 'buffer'));
  if (found === undefined || found.expiresAt.getTime() <= Date.now()) throw refuse('revoked');
  return Object.freeze({
    sub: found.userId,
    name: found.userName,
    sid: found.sessionId,
    jti: found.id,
    iss: issuer,
    aud: found.audience,
    client: 'personal-access-token',
    scopes: Object.freeze([...found.scopes]),
    iat: Math.floor(found.createdAt.getTime() / 1000),
    exp: Math.floor(found.expiresAt.getTime() / 1000),
    accessVersion: found.accessVersion,
  });
}
