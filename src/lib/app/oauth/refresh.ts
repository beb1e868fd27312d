import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { ResourcePolicy } from './permitted.ts';
import type { OAuthSettings } from './settings.ts';

interface RefreshTokenLike {
  readonly iiat?: number | undefined;
  readonly scope?: string | undefined;
  readonly resource?: string | string[] | undefined;
  totalLifetime(): number;
}

/** How long a refresh token may lie unused: never beyond the end of the sign-in that it is of. */
export function refreshTtl(token: RefreshTokenLike, settings: OAuthSettings): number {
  return Math.max(1, Math.min(settings.refreshIdle, settings.refreshAbsolute - token.totalLifetime()));
}

/**
 * Looks, before a refresh token is used up, whether anything may come of it: that the sign-in is not over, the resource is
 * still served and open to the client, and something is left of what the user may do there.
 * @throws InvalidGrant, InvalidTarget; the token stays as it is
 */
export async function assertMayRefresh(
  ctx: KoaContextWithOIDC,
  settings: OAuthSettings,
  policy: ResourcePolicy,
): Promise<void> {
  const { client, account, entities, params } = ctx.oidc;
  const token: RefreshTokenLike | undefined = entities.RefreshToken;
  if (token === undefined || client === undefined || account === undefined) throw new errors.InvalidGrant();
  if (token.totalLifetime() >= settings.refreshAbsolute) throw new errors.InvalidGrant('refresh token is expired');
  const audience = params?.['resource'] ?? token.resource;
  if (typeof audience !== 'string') return;
  if (![token.resource].flat().includes(audience)) throw new errors.InvalidTarget();
  const resource = policy.resource(audience, client.clientId);
  const permitted = await policy.permitted(ctx, account.accountId, client.clientId, resource);
  const granted = entities.Grant?.getResourceScope(audience).split(' ') ?? [];
  if (!granted.some((scope) => permitted.scopes.has(scope))) throw new errors.InvalidGrant('nothing of it is left');
}
