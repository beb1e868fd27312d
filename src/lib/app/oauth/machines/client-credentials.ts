import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import type { MachineGrants } from './grants.ts';
import { grantedScopes, provenKey, requestedResource, tokenAnswer } from './requests.ts';

export const clientCredentialsGrant = 'client_credentials';

/** A program signs in as itself (RFC 6749 section 4.4): its service account gets a token for one resource. */
export async function clientCredentials(grants: MachineGrants, ctx: TokenEndpointGrantContext): Promise<void> {
  const { params } = ctx.oidc;
  const { clientId } = ctx.oidc.client;
  const client = await grants.deps.clients.client(clientId);
  if (client?.kind !== 'service') throw new errors.UnauthorizedClient('this client is no service account');
  const resource = requestedResource(grants.deps.resources, params, { targets: client.targets, open: true, clientId });
  const keyThumbprint = await provenKey(ctx, resource.requireDpop);
  const standing = await grants.standings.of(clientId, resource);
  if (standing === undefined) throw new errors.UnauthorizedClient('this service account may not act');
  const { scopes: permitted, ...who } = standing;
  let scopes: readonly string[];
  try {
    scopes = grantedScopes(resource, params, (scope) => permitted.has(scope));
  } catch (error) {
    grants.standings.forgetOne(clientId, resource);
    throw error;
  }
  const signed = await grants.signer.sign({
    ...who,
    clientId,
    resource,
    scopes,
    ttlSeconds: resource.tokenTtlSeconds,
    keyThumbprint,
  });
  grants.log.add(
    {
      userId: who.userId,
      clientId,
      sessionId: who.sessionId,
      resource: resource.audience,
      address: grants.addressOf(ctx.req),
      data: { grant: clientCredentialsGrant, scope: scopes.join(' ') },
    },
    signed.jti,
  );
  grants.deps.clients.touch(clientId);
  ctx.body = tokenAnswer(signed, scopes);
}
