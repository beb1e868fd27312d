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
  /** How often something had been taken from the user when it was issued. */
  readonly accessVersion?: number;
  /** When the user last proved who they are (OpenID Connect Core section 2). */
  readonly authTime?: number;
  /** Who acts in the user's name, and in whose name that one does (RFC 8693 section 4.1). */
  readonly act?: ActorClaim;
  /** The key that whoever shows the token must hold (RFC 7800, RFC 9449 section 6.1). */
  readonly cnf?: { readonly jkt: string };
}

/** One link of the chain of those who act for somebody. */
export interface ActorClaim {
  readonly sub: string;
  readonly client_id?: string | undefined;
  readonly act?: ActorClaim | undefined;
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
  | 'proxy'
  | 'other_key'
  | 'access_changed'
  | 'bound'
  | 'unbound'
  | 'proof'
  | 'replayed';

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
  other_key: 'The access token is signed by the key of another resource',
  access_changed: 'Something was taken from what this access token allows',
  bound: 'The access token is bound to a key: show it by the scheme DPoP, with a proof',
  unbound: 'This needs an access token that is bound to a key (DPoP)',
  proof: 'The DPoP proof does not hold for this request',
  replayed: 'The DPoP proof was used before',
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

/** More links than that no chain of ours has. */
const maxActors = 8;

const actorSchema: z.ZodType<ActorClaim> = z.object({
  sub: z.string().min(1).max(500),
  client_id: z.string().min(1).max(2000).optional(),
  get act() {
    return actorSchema.optional();
  },
});

function depthOf(act: ActorClaim | undefined): number {
  let depth = 0;
  for (let at = act; at !== undefined; at = at.act) depth += 1;
  return depth;
}

/** The binding of a token. One of another kind can't be checked here, so it is none that lets somebody in. */
export const confirmationSchema = z.strictObject({ jkt: z.string().regex(/^[A-Za-z0-9_-]{43}$/) });

/** The token's own claims as they are signed; anything else in it is ignored. */
const payloadSchema = z.object({
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
  access_version: z.number().int().nonnegative().optional(),
  auth_time: z.number().int().optional(),
  act: actorSchema.refine((act) => depthOf(act) <= maxActors).optional(),
  cnf: confirmationSchema.optional(),
});

/** @throws UnauthenticatedError `malformed` */
export function parsePayload(payload: unknown): Claims {
  const parsed = payloadSchema.safeParse(payload);
  if (!parsed.success) throw refuse('malformed');
  const { iss, aud, sub, sid, jti, name, scope, iat, exp, ...more } = parsed.data;
  const { client_id: client, access_version: accessVersion, auth_time: authTime, act, cnf } = more;
  return Object.freeze({
    ...{ iss, aud, jti, name, client, iat, exp, sub: sub as UserId, sid: sid as SessionId },
    scopes: scopesOf(scope),
    ...(accessVersion === undefined ? {} : { accessVersion }),
    ...(authTime === undefined ? {} : { authTime }),
    ...(act === undefined ? {} : { act }),
    ...(cnf === undefined ? {} : { cnf }),
  });
}

/** @throws UnauthenticatedError `malformed` */
export function scopesOf(text: string): readonly string[] {
  const scopes = text === '' ? [] : text.split(' ');
  if (!scopes.every((item) => scopeSchema.safeParse(item).success)) throw refuse('malformed');
  return Object.freeze(scopes);
}

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
