import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import { recordIdentityEvent } from '../../../domain/auth/index.ts';
import type { MachineGrants } from './grants.ts';
import { grantedScopes, provenKey, requestedResource, requiredText, tokenAnswer } from './requests.ts';
import { accessTokenType } from './token-exchange.ts';

export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** A program signs in by a token of its platform (RFC 7523 section 2.1): good once, for one service account. */
export async function workloadByAssertion(grants: MachineGrants, ctx: TokenEndpointGrantContext): Promise<void> {
  await issueToWorkload(grants, ctx, requiredText(ctx.oidc.params, 'assertion'));
}

/** The same by the form of RFC 8693, which some platforms' tools speak. */
export async function workloadByExchange(grants: MachineGrants, ctx: TokenEndpointGrantContext): Promise<void> {
  await issueToWorkload(grants, ctx, requiredText(ctx.oidc.params, 'subject_token'));
  ctx.body = { ...(ctx.body as object), issued_token_type: accessTokenType };
}

async function issueToWorkload(grants: MachineGrants, ctx: TokenEndpointGrantContext, token: string): Promise<void> {
  const { params } = ctx.oidc;
  const { clientId } = ctx.oidc.client;
  const { deps } = grants;
  const client = await deps.clients.client(clientId);
  if (client?.kind !== 'service') throw new errors.UnauthorizedClient('this client is no service account');
  const workload = await deps.workloads.verify(token, clientId).catch((error: unknown) => {
    deps.onRefusal?.({ clientId, error });
    throw new errors.InvalidGrant(error instanceof Error ? error.message : undefined);
  });
  const resource = requestedResource(deps.resources, params, { targets: client.targets, open: true, clientId });
  const keyThumbprint = await provenKey(ctx, resource.requireDpop);
  const standing = await grants.standings.of(clientId, resource);
  if (standing === undefined) throw new errors.UnauthorizedClient('this service account may not act');
  const { scopes: permitted, ...who } = standing;
  const scopes = grantedScopes(resource, params, (scope) => permitted.has(scope));
  // Last, so that a request that is wrong in another way can be made again with the same token.
  if (!(await grants.singleUse.first(`assertion ${workload.issuer}`, workload.id, workload.expiresAt))) {
    deps.onRefusal?.({ clientId, error: new Error('The token was used before') });
    throw new errors.InvalidGrant('the assertion was used before');
  }
  const signed = await grants.signer.sign({
    ...who,
    clientId,
    resource,
    scopes,
    ttlSeconds: Math.min(workload.rule.ttlSeconds, resource.tokenTtlSeconds),
    keyThumbprint,
  });
  await recordIdentityEvent(deps.database, {
    type: 'token_issued',
    userId: who.userId,
    clientId,
    sessionId: who.sessionId,
    resource: resource.audience,
    address: grants.addressOf(ctx.req),
    data: {
      grant: 'jwt_bearer',
      scope: scopes.join(' '),
      token: signed.jti,
      issuer: workload.issuer,
      subject: workload.subject,
    },
  });
  deps.clients.touch(clientId);
  ctx.body = tokenAnswer(signed, scopes);
}
