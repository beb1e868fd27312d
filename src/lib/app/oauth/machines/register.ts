import type { Provider, TokenEndpointGrantContext } from 'oidc-provider';
import { guarded } from '../unavailable.ts';
import { clientCredentials, clientCredentialsGrant } from './client-credentials.ts';
import type { MachineGrants } from './grants.ts';
import { exchangeToken, jwtTokenType, tokenExchangeGrant } from './token-exchange.ts';
import { jwtBearerGrant, workloadByAssertion, workloadByExchange } from './workload-grant.ts';

/** Teaches a provider the grants of machines, right after it was made; `client_credentials` takes the place of its own. */
export function registerGrants(provider: Provider, grants: MachineGrants): void {
  const params = ['resource', 'scope'];
  provider.registerGrantType(clientCredentialsGrant, (ctx) => guarded(() => clientCredentials(grants, ctx)), params, [
    'resource',
  ]);
  provider.registerGrantType(
    jwtBearerGrant,
    (ctx) => guarded(() => workloadByAssertion(grants, ctx)),
    [...params, 'assertion'],
    ['resource'],
  );
  provider.registerGrantType(
    tokenExchangeGrant,
    (ctx: TokenEndpointGrantContext) =>
      guarded(() =>
        ctx.oidc.params['subject_token_type'] === jwtTokenType
          ? workloadByExchange(grants, ctx)
          : exchangeToken(grants, ctx),
      ),
    [
      ...params,
      'audience',
      'subject_token',
      'subject_token_type',
      'actor_token',
      'actor_token_type',
      'requested_token_type',
    ],
    ['resource'],
  );
  // Proofs and assertions are single-use in all API processes together; the provider's own way asks, then writes.
  const replays = provider.ReplayDetection as {
    unique(owner: string, id: string, expiresAt: number): Promise<boolean>;
  };
  replays.unique = (owner, id, expiresAt) => grants.singleUse.first(owner, id, expiresAt);
}
