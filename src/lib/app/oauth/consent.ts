import type { IncomingMessage } from 'node:http';
import { type Grant, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import type { UserId } from '../../shared/ids.ts';
import { isLoopbackOnly } from './card.ts';
import type { OAuthStore } from './store.ts';
import { guarded } from './unavailable.ts';

/** Who sits at the browser that sent a request. */
export interface WhoIsThere {
  current(request: Pick<IncomingMessage, 'headers'>): Promise<{ readonly userId: UserId } | undefined>;
}

const { Check, Prompt } = interactionPolicy;

/**
 * What must be asked of the user before a request is granted. The library's own session is only its memory: who is
 * signed in the browser session says, so that signing out, being suspended, or another user at the same browser counts
 * here at once.
 */
export function interactionsPolicy(browser: WhoIsThere): interactionPolicy.Prompt[] {
  const policy = interactionPolicy.base();
  policy.get('login')?.checks.add(
    new Check('browser_session', 'sign-in is required', 'login_required', async (ctx) => {
      const there = await guarded(() => browser.current(ctx.req));
      const { account, session } = ctx.oidc;
      return account === undefined || there === undefined || there.userId !== session?.accountId;
    }),
  );
  // Nothing is asked here: it comes last, when nothing is left to ask, and keeps the grant that was agreed on before.
  policy.add(
    new Prompt(
      { name: 'grant' },
      new Check('remembered', 'a grant is kept', 'interaction_required', async ({ oidc }) => {
        const { grant, session, client } = oidc;
        if (grant === undefined || client === undefined || grant.jti !== undefined) return false;
        if (grant.resources === undefined && grant.openid === undefined) return false;
        session?.ensureClientContainer(client.clientId);
        session?.grantIdFor(client.clientId, await grant.save());
        return false;
      }),
    ),
  );
  return policy;
}

/**
 * The grant that a request goes by. Each authorization has one of its own, which is one sign-in; one that the user has
 * just agreed to is there already. Without asking, one comes only of what the same user has let the same client do before
 * and not taken back, and never for a client on the user's machine: there any program could pose as it (T32).
 */
export async function grantFor(ctx: KoaContextWithOIDC, store: OAuthStore): Promise<Grant | undefined> {
  const { oidc } = ctx;
  const { client, account, provider } = oidc;
  const agreed = oidc.result?.consent?.grantId;
  if (agreed !== undefined) return provider.Grant.find(agreed);
  if (client === undefined || account === undefined) return undefined;
  if (client.applicationType === 'native' || isLoopbackOnly(client.redirectUris ?? [])) return undefined;
  const before = await store.grantedScopes(account.accountId, client.clientId);
  if (before.length === 0) return undefined;
  const grants = before.map((payload) => new provider.Grant(payload));
  const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId });
  const openid = [...oidc.requestParamOIDCScopes].filter((scope) =>
    grants.some((each) => each.getOIDCScope().split(' ').includes(scope)),
  );
  if (openid.length > 0) grant.addOIDCScope(openid);
  for (const audience of Object.keys(oidc.resourceServers ?? {})) {
    const had = new Set(grants.flatMap((each) => each.getResourceScope(audience).split(' ')));
    const scopes = [...oidc.requestParamScopes].filter((scope) => had.has(scope));
    if (scopes.length > 0) grant.addResourceScope(audience, scopes);
  }
  return grant;
}
