import type { Provider } from 'oidc-provider';
import { applyClientPolicy } from '../clients/policy.ts';
import type { Machines } from './open.ts';
import { registerGrants } from './register.ts';
import { answerForStructuredTokens } from './structured-tokens.ts';

/** Everything about machines and clients that is no configuration, right after a provider was made. */
export function installMachines(provider: Provider, { grants, policy }: Pick<Machines, 'grants' | 'policy'>): void {
  registerGrants(provider, grants);
  answerForStructuredTokens(provider, grants);
  applyClientPolicy(provider, policy);
}
