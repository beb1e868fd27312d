import { decodeJwt } from 'jose';
import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { type Claims, recordIdentityEvent, revokeToken } from '../../../domain/auth/index.ts';
import { AppError } from '../../../shared/errors.ts';
import type { ResourceServer } from '../../resources.ts';
import type { MachineGrants } from './grants.ts';

/** A JWT of ours that is good at this moment. */
interface GoodToken {
  readonly claims: Claims;
  readonly resource: ResourceServer;
}

/**
 * Revocation and introspection of access tokens that are JWTs, which oidc-provider itself refuses: it has authenticated
 * the client by then, and the rest is done here.
 */
export function answerForStructuredTokens(provider: Provider, grants: MachineGrants): void {
  provider.use(async (ctx, next) => {
    await next();
    const body = ctx.body as { error?: unknown } | undefined;
    if (ctx.status !== 400 || body?.error !== 'unsupported_token_type') return;
    const oidc = (ctx as KoaContextWithOIDC).oidc;
    if (oidc?.client === undefined) return;
    const token = String(oidc.params?.['token']);
    if (oidc.route === 'revocation') {
      await revoke(grants, token, oidc.client.clientId);
      ctx.status = 200;
      ctx.body = '';
    } else if (oidc.route === 'introspection') {
      const answer = await introspect(grants, token, oidc.client.clientId, oidc.client.clientAuthMethod);
      ctx.status = 200;
      ctx.set('cache-control', 'no-store');
      ctx.body = answer;
    }
  });
}

/** For `features.revocation.allowedPolicy`: of an opaque token too, its own client alone. */
export function mayRevoke(
  _ctx: unknown,
  client: { clientId: string },
  token: { clientId?: string | undefined },
): boolean {
  return token.clientId === client.clientId;
}

/** For `features.introspection.allowedPolicy`: opaque tokens are for us alone, so only who got one may ask about it. */
export function mayIntrospect(
  _ctx: unknown,
  client: { clientId: string; clientAuthMethod?: string | undefined },
  token: { clientId?: string | undefined },
): boolean {
  return client.clientAuthMethod !== 'none' && token.clientId === client.clientId;
}

/** Ends a token on behalf of the client that got it, and with one that came of a sign-in the whole sign-in. */
async function revoke(grants: MachineGrants, token: string, clientId: string): Promise<void> {
  const good = await examine(grants, token);
  if (good === undefined || good.claims.client !== clientId) return;
  const { claims } = good;
  const client = await grants.deps.clients.client(clientId);
  // Whoever acts for somebody, or as itself, ends this token; the session is not its own, or is all that it has.
  const single = claims.act !== undefined || client?.kind === 'service';
  await grants.deps.database.transaction(async (tx) => {
    const event = { userId: claims.sub, clientId, sessionId: claims.sid, resource: claims.aud };
    if (single) {
      await revokeToken(tx, claims.jti, new Date(claims.exp * 1000));
      await recordIdentityEvent(tx, { ...event, type: 'token_revoked', data: { token: claims.jti } });
      return;
    }
    await tx.query('UPDATE user_sessions SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1', [claims.sid]);
    await recordIdentityEvent(tx, { ...event, type: 'session_revoked', data: { by: 'revocation', token: claims.jti } });
  });
}

/** What may be known of a token (RFC 7662), by its resource server and by the client that got it. */
async function introspect(
  grants: MachineGrants,
  token: string,
  clientId: string,
  method: string | undefined,
): Promise<Record<string, unknown>> {
  const good = method === 'none' ? undefined : await examine(grants, token);
  if (good === undefined) return { active: false };
  const client = await grants.deps.clients.client(clientId);
  const { claims, resource } = good;
  if (client?.server !== resource.name && claims.client !== clientId) return { active: false };
  return {
    active: true,
    iss: claims.iss,
    aud: claims.aud,
    sub: claims.sub,
    client_id: claims.client,
    username: claims.name,
    scope: claims.scopes.join(' '),
    token_type: claims.cnf === undefined ? 'Bearer' : 'DPoP',
    iat: claims.iat,
    exp: claims.exp,
    jti: claims.jti,
    sid: claims.sid,
    ...(claims.act === undefined ? {} : { act: claims.act }),
    ...(claims.cnf === undefined ? {} : { cnf: claims.cnf }),
  };
}

/** Judged as the resource server would; undefined for anything that it would not let in. */
async function examine(grants: MachineGrants, token: string): Promise<GoodToken | undefined> {
  try {
    const { aud } = decodeJwt(token);
    const resource = typeof aud === 'string' ? grants.deps.resources.byAudience(aud) : undefined;
    if (resource === undefined) return undefined;
    return { claims: await grants.deps.verifier.examine(token, resource.audience), resource };
  } catch (error) {
    if (error instanceof AppError && error.code !== 'UNAUTHENTICATED') throw error;
    return undefined;
  }
}
