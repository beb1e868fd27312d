import Provider, { type Configuration, errors, type JWK, type KoaContextWithOIDC } from 'oidc-provider';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { clientPolicy } from './clients/policy.ts';
import { grantFor, interactionsPolicy, type WhoIsThere } from './consent.ts';
import { type CodeAttempts, countCodes } from './device-attempts.ts';
import { deviceFlow, prefilled, show } from './device-pages.ts';
import { discovered } from './discovery.ts';
import { answerFaults } from './faults.ts';
import { installGrants } from './grants.ts';
import { installMachines } from './machines/install.ts';
import type { Machines } from './machines/open.ts';
import type { OAuthPages } from './pages.ts';
import { oauthRoutes } from './paths.ts';
import { oidcScopes, type ResourcePolicy } from './permitted.ts';
import { assertMayRefresh, refreshTtl } from './refresh.ts';
import type { Seal } from './seal.ts';
import type { OAuthSettings } from './settings.ts';
import type { OAuthStore } from './store.ts';
import { guarded } from './unavailable.ts';

/** Somebody who may sign in. */
export interface Account {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly email?: string | undefined;
}

/** The keys that sign: the first one for everything that has no key of its own. */
export interface SigningKeys {
  readonly jwks: readonly JWK[];
  readonly kidFor: (audience: string) => string;
}

export interface ProviderDependencies {
  readonly settings: OAuthSettings;
  readonly keys: SigningKeys;
  readonly store: OAuthStore;
  readonly database: Queryable;
  readonly seal: Seal;
  readonly policy: ResourcePolicy;
  readonly machines: Machines;
  readonly browser: WhoIsThere;
  readonly codeAttempts: CodeAttempts;
  /** The user of that id, if there is one who may act. */
  readonly account: (id: string) => Promise<Account | undefined>;
  readonly pages: OAuthPages;
  readonly log: Logger;
}

const interactionTtl = 600;
/** It is no more than a memory: whether it counts, the browser session says. */
const sessionTtl = 12 * 3600;
const idTokenTtl = 3600;
/** Routes that a person's browser is sent to; everything else is answered to programs. */
const pageRoutes = new Set(['authorization', 'resume', 'code_verification', 'device_resume']);

/** The authorization server of one moment: keys and settings don't change in it. A new one is made in 5 ms. */
export function createProvider(deps: ProviderDependencies): Provider {
  const provider = new Provider(deps.settings.issuer, configurationOf(deps));
  // Behind our own door, which says by whom and under which address we were asked.
  provider.proxy = true;
  provider.silent = true;
  answerFaults(provider, deps);
  installGrants(provider, { ...deps, reuseWindow: deps.settings.reuseWindow });
  installMachines(provider, deps.machines);
  provider.use(async (ctx, next) => {
    await next();
    const { oidc } = ctx as KoaContextWithOIDC;
    if (oidc === undefined) return;
    if (oidc.route === 'discovery') ctx.body = discovered(ctx.body as Record<string, unknown>);
    const userCode = oidc.params?.['user_code'];
    if (oidc.route === 'code_verification' && ctx.method === 'GET' && typeof userCode === 'string') {
      prefilled(ctx as KoaContextWithOIDC, deps.pages, userCode);
    }
  });
  provider.use((ctx, next) => countCodes(ctx as KoaContextWithOIDC, next, deps));
  logOf(provider as NodeJS.EventEmitter, deps.log);
  return provider;
}

function configurationOf(deps: ProviderDependencies): Configuration {
  const { settings, policy, store, pages, keys } = deps;
  const secure = settings.issuer.startsWith('https:');
  const clients = clientPolicy(deps.machines.policy);
  return {
    ...clients,
    adapter: store.adapter,
    jwks: { keys: keys.jwks },
    routes: oauthRoutes,
    scopes: [...oidcScopes],
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email'] },
    responseTypes: ['code'],
    pkce: { required: () => true },
    clientDefaults: clients.clientDefaults,
    extraParams: { response_mode: onlyQuery },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    acceptQueryParamAccessTokens: false,
    // Only one of them can be told apart from another program's by its name (RFC 6265bis section 4.1.3).
    cookies: {
      names: cookieNames(settings.issuer),
      long: { httpOnly: true, sameSite: 'lax', secure },
      short: { httpOnly: true, sameSite: 'lax', secure },
    },
    ttl: {
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? settings.maxTokenTtl,
      AuthorizationCode: settings.codeTtl,
      DeviceCode: settings.deviceCodeTtl,
      Grant: settings.refreshAbsolute,
      IdToken: Math.min(idTokenTtl, settings.maxTokenTtl),
      Interaction: interactionTtl,
      RefreshToken: (_ctx, token) => refreshTtl(token, settings),
      Session: sessionTtl,
    },
    features: {
      ...clients.features,
      devInteractions: { enabled: false },
      deviceFlow: deviceFlow(pages),
      pushedAuthorizationRequests: { enabled: true },
      rpInitiatedLogout: { enabled: false },
      userinfo: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: async (ctx, _client, oneOf) => oneOf ?? (policy.defaultResource(ctx) as string),
        getResourceServerInfo: (ctx, audience, client) => policy.info(ctx, audience, client.clientId, keys.kidFor),
        useGrantedResource: async () => true,
      },
    },
    // Signing out at the browser ends no client's sign-in: those are sessions of their own.
    expiresWithSession: async () => false,
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: async (ctx) => {
      await assertMayRefresh(ctx, settings, policy);
      return true;
    },
    revokeGrantPolicy: () => true,
    extraTokenClaims: (ctx, token) => claimsFor(ctx, token, deps),
    findAccount: async (_ctx, id) => accountOf(await guarded(() => findUser(deps, id))),
    loadExistingGrant: (ctx) => grantFor(ctx, store),
    interactions: {
      policy: interactionsPolicy(deps.browser),
      url: (_ctx, interaction) => `/auth/interaction/${interaction.uid}`,
    },
    renderError: async (ctx, out) => {
      const { error, error_description: description } = out;
      if (!pageRoutes.has(ctx.oidc.route)) ctx.body = out;
      else show(ctx, pages.error({ status: ctx.status, error, ...(description === undefined ? {} : { description }) }));
    },
  };
}

/** Codes travel in the query and nowhere else: other modes need pages with scripts of the library's. */
function onlyQuery({ oidc }: KoaContextWithOIDC, mode: string | undefined): void {
  if (mode === undefined || mode === 'query') return;
  // That is said by the mode that there is.
  if (oidc.params !== undefined) oidc.params['response_mode'] = undefined;
  throw new errors.UnsupportedResponseMode();
}

/** `__Host-` is for the whole host; those of one interaction are for its address alone (T30). */
function cookieNames(issuer: string): { session: string; interaction: string; resume: string } {
  const { protocol, port } = new URL(issuer);
  const [host, prefix] = protocol === 'https:' ? ['__Host-', '__Secure-'] : ['', ''];
  // Cookies don't heed ports: two instances on one machine keep apart by their names.
  const suffix = port === '' ? '' : `-${port}`;
  return {
    session: `${host}systemprompt-oauth${suffix}`,
    interaction: `${prefix}systemprompt-interaction${suffix}`,
    resume: `${prefix}systemprompt-resume${suffix}`,
  };
}

function findUser({ store, account }: ProviderDependencies, id: string): Promise<Account | undefined> {
  const known = store.grant?.user;
  return known?.id === id ? Promise.resolve(known) : account(id);
}

function accountOf(user: Account | undefined) {
  if (user === undefined) return undefined;
  const { id, name, displayName, email } = user;
  return {
    accountId: id,
    claims: () => ({
      sub: id,
      name: displayName,
      preferred_username: name,
      ...(email === undefined ? {} : { email }),
    }),
  };
}

/** What a token for a resource says beyond RFC 9068: the sign-in that it is of, and the access that it was issued by. */
async function claimsFor(
  ctx: KoaContextWithOIDC,
  token: {
    readonly kind: string;
    readonly aud?: string | string[] | undefined;
    readonly scope?: string | undefined;
    readonly grantId?: string | undefined;
  },
  { store, policy }: ProviderDependencies,
): Promise<Record<string, unknown> | undefined> {
  if (token.kind !== 'AccessToken' || typeof token.aud !== 'string') return undefined;
  const { account, client, entities } = ctx.oidc;
  if (token.grantId === undefined || client === undefined || account === undefined) return undefined;
  const grant = await store.sessionOf(token.grantId);
  // Ended since it was looked up.
  if (grant === undefined) throw new errors.InvalidGrant('grant not found');
  if (token.scope === undefined || token.scope === '') throw new errors.InvalidGrant('nothing of it is left');
  const resource = policy.resource(token.aud, client.clientId);
  const { accessVersion } = await policy.permitted(ctx, account.accountId, client.clientId, resource);
  const authTime = (entities.AuthorizationCode ?? entities.RefreshToken ?? entities.DeviceCode)?.authTime;
  return {
    sid: grant.sessionId,
    name: grant.user.name,
    access_version: accessVersion,
    ...(authTime === undefined ? {} : { auth_time: authTime }),
  };
}

/** What the library says goes to our log, without what was sent: codes and tokens stand in it. */
function logOf(provider: NodeJS.EventEmitter, log: Logger): void {
  const told = (ctx: KoaContextWithOIDC | undefined, err: Error & { error_description?: string }) => ({
    err,
    route: ctx?.oidc?.route,
    client: ctx?.oidc?.client?.clientId,
    reason: err.error_description,
  });
  provider.on('server_error', (ctx: KoaContextWithOIDC, err: Error) =>
    log.error(told(ctx, err), 'The authorization server failed'),
  );
  provider.on('error', (err: unknown) => log.error({ err }, 'The authorization server failed'));
  for (const event of ['authorization.error', 'grant.error', 'device_authorization.error'] as const) {
    provider.on(event, (ctx: KoaContextWithOIDC, err: errors.OIDCProviderError) => {
      const { error, error_description: reason, error_detail: detail } = err;
      log.info(
        { route: ctx.oidc?.route, client: ctx.oidc?.client?.clientId, error, reason, detail },
        'An authorization request was refused',
      );
    });
  }
}
