import { z } from 'zod';
import type { Actor } from '../../shared/actor.ts';
import { UnauthenticatedError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { isPermission, type Permission, permissionLevels } from '../../shared/permission.ts';

/** What a verified access token says (RFC 9068 section 2.2). Times are seconds since the epoch. */
export interface Claims {
  readonly sub: UserId;
  readonly name: string;
  readonly sid: SessionId;
  readonly jti: string;
  readonly iss: string;
  readonly aud: string;
  /** The client that the token was given to (`client_id`). */
  readonly client: string;
  readonly scopes: readonly string[];
  readonly exp: number;
  readonly iat: number;
}

/** Why a token was refused; stands in `data.reason` of the error. */
export type RefusalReason =
  | 'missing'
  | 'malformed'
  | 'type'
  | 'algorithm'
  | 'unknown_key'
  | 'signature'
  | 'issuer'
  | 'audience'
  | 'not_yet_valid'
  | 'expired'
  | 'lifetime'
  | 'revoked'
  | 'proxy';

/** Said to the caller, who may be anyone: enough to act on, nothing about keys or other users. */
const explanations: Record<RefusalReason, string> = {
  missing: 'Sign in first',
  malformed: 'The access token is malformed',
  type: 'This is not an access token',
  algorithm: 'The access token is signed by an algorithm that is not accepted',
  unknown_key: 'The access token is signed by a key that is not known here',
  signature: 'The signature of the access token does not hold',
  issuer: 'The access token was issued elsewhere',
  audience: 'The access token is for another resource',
  not_yet_valid: 'The access token is not valid yet',
  expired: 'The access token has expired',
  lifetime: 'The access token lives longer than is allowed here',
  revoked: 'The sign-in of this access token has ended',
  proxy: 'What the proxy says of the caller is not signed as it must be',
};

/** The error for a token that is not accepted. */
export function refuse(reason: RefusalReason, cause?: unknown): UnauthenticatedError {
  return new UnauthenticatedError(explanations[reason], {
    hint: 'Get a new token for this resource.',
    next: ['admin session login'],
    data: { reason },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** One scope: printable ASCII without space, quote and backslash (RFC 6749 section 3.3). */
export const scopeSchema = z
  .string()
  .max(200)
  .regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/);

/** The token's own claims as they are signed; anything else in it is ignored. */
export const payloadSchema = z.object({
  iss: z.string(),
  aud: z.string(),
  sub: z.uuid(),
  sid: z.uuid(),
  jti: z.string().min(1),
  client_id: z.string().min(1),
  name: z.string().min(1),
  scope: z.string(),
  iat: z.number().int(),
  exp: z.number().int(),
});

/** The actor that a token stands for: its scopes, and the highest tier among them. */
export function actorOf(claims: Claims): Actor {
  const tiers = claims.scopes.filter(isPermission);
  const highest = tiers.reduce<Permission>(
    (best, tier) => (permissionLevels[tier] > permissionLevels[best] ? tier : best),
    'anonymous',
  );
  return {
    userId: claims.sub,
    userName: claims.name,
    sessionId: claims.sid,
    scopes: claims.scopes,
    permission: highest,
  };
}
