import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import { type ActorClaim, type Claims, type KnownClient, recordIdentityEvent } from '../../../domain/auth/index.ts';
import { AppError } from '../../../shared/errors.ts';
import type { ResourceServer } from '../../resources.ts';
import type { MachineGrants } from './grants.ts';
import { grantedScopes, heldBy, provenKey, requestedResource, requiredText, textOf, tokenAnswer } from './requests.ts';

export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
export const jwtTokenType = 'urn:ietf:params:oauth:token-type:jwt';

/** An exchanged token lives no longer than that, in seconds, and never longer than the one it was made of. */
const maxTtlSeconds = 300;
/** How many may act for one another in a row. */
const maxActors = 4;

/**
 * A resource server acts on behalf of its caller at another one (RFC 8693). It hands in the caller's token, which must be
 * for itself, and gets one for the other: for the same user, in the same session, with scopes that the caller had given
 * to it and may have there, short-lived, and naming everybody who acts.
 */
export async function exchangeToken(grants: MachineGrants, ctx: TokenEndpointGrantContext): Promise<void> {
  const { params, client: asking } = ctx.oidc;
  const { clientId } = asking;
  const client = await grants.deps.clients.client(clientId);
  const own = exchanger(grants, client, asking.clientAuthMethod);
  checkForm(params);
  const claims = await verifySubject(grants, requiredText(params, 'subject_token'), own);
  const target = requestedTarget(grants, params, { targets: client?.targets ?? [], clientId });
  // Whose token is bound to a key does not get a bearer token out of it: the exchanger binds it to one of its own.
  const keyThumbprint = await provenKey(ctx, target.requireDpop || claims.cnf !== undefined);
  const act = actors(clientId, client?.userId, claims.act);
  // Without the client: what was granted to it would add to what the user may do.
  const permitted = await grants.deps.entitlements.permittedScopes({ userId: claims.sub }, target);
  if (!permitted.active) throw new errors.InvalidGrant('the user may not act');
  const held = heldBy(claims.scopes);
  const scopes = grantedScopes(target, params, (scope) => held(scope) && permitted.scopes.has(scope));
  const remaining = claims.exp - Math.floor(Date.now() / 1000);
  if (remaining < 1) throw new errors.InvalidGrant('the subject token has expired');
  const signed = await grants.signer.sign({
    userId: claims.sub,
    userName: claims.name,
    sessionId: claims.sid,
    clientId,
    resource: target,
    scopes,
    ttlSeconds: Math.min(maxTtlSeconds, remaining, target.tokenTtlSeconds),
    accessVersion: permitted.accessVersion,
    act,
    keyThumbprint,
  });
  await recordIdentityEvent(grants.deps.database, {
    type: 'token_issued',
    userId: claims.sub,
    actorId: client?.userId,
    clientId,
    sessionId: claims.sid,
    resource: target.audience,
    address: grants.addressOf(ctx.req),
    data: {
      grant: 'token_exchange',
      scope: scopes.join(' '),
      token: signed.jti,
      from: own.audience,
      subject_token: claims.jti,
      actors: actorNames(act),
    },
  });
  grants.deps.clients.touch(clientId);
  ctx.body = { ...tokenAnswer(signed, scopes), issued_token_type: accessTokenType };
}

/** The resource server that the client is. @throws UnauthorizedClient when it is none, or proves nothing of itself */
function exchanger(grants: MachineGrants, client: KnownClient | undefined, method: string | undefined): ResourceServer {
  const own = client?.server === undefined ? undefined : grants.deps.resources.byName(client.server);
  if (own !== undefined && method !== 'none' && client?.kind !== 'dynamic') return own;
  throw new errors.UnauthorizedClient('this client is no resource server');
}

function checkForm(params: Readonly<Record<string, unknown>>): void {
  if (requiredText(params, 'subject_token_type') !== accessTokenType) {
    throw new errors.InvalidRequest(`subject_token_type must be ${accessTokenType}`);
  }
  const wanted = textOf(params, 'requested_token_type');
  if (wanted !== undefined && wanted !== accessTokenType) {
    throw new errors.InvalidRequest(`requested_token_type must be ${accessTokenType}`);
  }
  if (params['actor_token'] !== undefined || params['actor_token_type'] !== undefined) {
    throw new errors.InvalidRequest('the actor is the client itself: there is no actor_token');
  }
}

/** The other server, by its address or by its name. @throws InvalidTarget */
function requestedTarget(
  grants: MachineGrants,
  params: Readonly<Record<string, unknown>>,
  options: { readonly targets: readonly string[]; readonly clientId: string },
): ResourceServer {
  const { resource, audience } = params;
  if (audience === undefined) {
    return requestedResource(grants.deps.resources, params, { ...options, open: false });
  }
  if (resource !== undefined || typeof audience !== 'string') {
    throw new errors.InvalidTarget('one resource, or one audience, is asked for');
  }
  const named = grants.deps.resources.byName(audience)?.audience ?? audience;
  return requestedResource(grants.deps.resources, { resource: named }, { ...options, open: false });
}

/** Signature, audience, times, session and access are the verifier's to judge, as at the resource server itself. */
async function verifySubject(grants: MachineGrants, token: string, own: ResourceServer): Promise<Claims> {
  const claims = await grants.deps.verifier.examine(token, own.audience).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'UNAUTHENTICATED') {
      throw new errors.InvalidGrant({ cause: error });
    }
    throw error;
  });
  // What others have issued is for the one server that trusts them.
  if (claims.iss !== grants.deps.issuer) throw new errors.InvalidGrant('the token is of another issuer');
  return claims;
}

/** @throws InvalidGrant when the chain is too long */
function actors(clientId: string, userId: string | undefined, before: ActorClaim | undefined): ActorClaim {
  let depth = 1;
  for (let actor = before; actor !== undefined; actor = actor.act) depth += 1;
  if (depth > maxActors) throw new errors.InvalidGrant('too many act for one another');
  return { sub: userId ?? clientId, client_id: clientId, ...(before === undefined ? {} : { act: before }) };
}

function actorNames(act: ActorClaim): string[] {
  const names: string[] = [];
  for (let actor: ActorClaim | undefined = act; actor !== undefined; actor = actor.act) {
    names.push(actor.client_id ?? actor.sub);
  }
  return names;
}
