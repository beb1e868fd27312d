import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import validateDpop, { checkDpopReplay } from 'oidc-provider/lib/helpers/validate_dpop.js';
import { covers, isPermission } from '../../../shared/permission.ts';
import type { ResourceServer, ResourceServers } from '../../resources.ts';
import type { SignedToken } from './token-signer.ts';

/** What a request to the token endpoint says, read by the grants of machines. */
export type Params = Readonly<Record<string, unknown>>;

export function textOf(params: Params, name: string): string | undefined {
  const value = params[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** @throws InvalidRequest when it is missing */
export function requiredText(params: Params, name: string): string {
  const value = textOf(params, name);
  if (value === undefined) throw new errors.InvalidRequest(`missing required parameter '${name}'`);
  return value;
}

/**
 * The one resource that a token is asked for (RFC 8707): an access token without an audience would be good everywhere.
 * @param targets names of the servers that the client may ask for; the only one is taken when none is named
 * @param open whether an empty list means any
 * @throws InvalidTarget
 */
export function requestedResource(
  resources: ResourceServers,
  params: Params,
  options: { readonly targets: readonly string[]; readonly open: boolean; readonly clientId: string },
): ResourceServer {
  const { resource: given } = params;
  if (Array.isArray(given) && given.length > 1) throw new errors.InvalidTarget('only one resource can be asked for');
  const named = Array.isArray(given) ? given[0] : given;
  const [only, ...others] = options.targets;
  const resource =
    typeof named === 'string' && named !== ''
      ? resources.byAudience(named)
      : only !== undefined && others.length === 0
        ? resources.byName(only)
        : undefined;
  if (resource === undefined) {
    throw new errors.InvalidTarget(named === undefined ? 'resource is mandatory' : 'there is no such resource');
  }
  const allowed = options.targets.includes(resource.name) || (options.open && options.targets.length === 0);
  if (!allowed) throw new errors.InvalidTarget('this client may not have tokens for that resource');
  if (resource.clients !== undefined && !resource.clients.includes(options.clientId)) {
    throw new errors.InvalidTarget('that resource takes no tokens of this client');
  }
  return resource;
}

/**
 * The scopes of a token: those asked for, or the resource's defaults, as far as they are permitted.
 * @throws InvalidScope when nothing is left
 */
export function grantedScopes(
  resource: ResourceServer,
  params: Params,
  permitted: (scope: string) => boolean,
): readonly string[] {
  const asked = textOf(params, 'scope')?.split(' ');
  const known = new Set(resource.scopes.map(({ name }) => name));
  const scopes = [...new Set(asked ?? resource.defaultScopes)].filter((scope) => known.has(scope) && permitted(scope));
  if (scopes.length > 0) return scopes;
  const wanted = asked ?? resource.defaultScopes;
  throw new errors.InvalidScope(
    `none of the scopes may be had at ${resource.name}: ${wanted.join(' ')}; admin access check tells what is missing`,
    wanted.join(' '),
  );
}

/** Whether scopes that are held allow another: a tier those below it, any other scope itself alone. */
export function heldBy(held: readonly string[]): (scope: string) => boolean {
  const named = new Set(held);
  return (scope) => (isPermission(scope) ? covers(held, scope) : named.has(scope));
}

/**
 * The thumbprint of the key that the request proves to have.
 * @throws InvalidDpopProof, UseDpopNonce; InvalidDpopProof when `required` and there is none
 */
export async function provenKey(ctx: KoaContextWithOIDC, required: boolean): Promise<string | undefined> {
  const { provider, client } = ctx.oidc;
  const proof = await validateDpop(provider, ctx);
  const clientId = client?.clientId ?? '';
  await checkDpopReplay(provider, ctx, proof, clientId, errors.InvalidDpopProof);
  if (proof === undefined && (required || client?.dpopBoundAccessTokens === true)) {
    throw new errors.InvalidDpopProof('a DPoP proof is required');
  }
  return proof?.thumbprint;
}

/** The answer of the token endpoint (RFC 6749 section 5.1). */
export function tokenAnswer(signed: SignedToken, scopes: readonly string[]): Record<string, string | number> {
  return {
    access_token: signed.token,
    token_type: signed.tokenType,
    expires_in: signed.expiresIn,
    scope: scopes.join(' '),
  };
}
