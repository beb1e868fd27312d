const base = '/api/v1/core/oauth';

/** The endpoints under the names that the library has for them. */
export const oauthRoutes = {
  authorization: `${base}/authorize`,
  token: `${base}/token`,
  registration: `${base}/register`,
  revocation: `${base}/revoke`,
  introspection: `${base}/introspect`,
  jwks: `${base}/jwks`,
  device_authorization: `${base}/device_authorization`,
  pushed_authorization_request: `${base}/par`,
  userinfo: `${base}/userinfo`,
  end_session: `${base}/end_session`,
  code_verification: '/auth/device',
} as const;

/** One address that the authorization server answers. */
export interface OAuthPath {
  readonly methods: readonly ('GET' | 'POST')[];
  /** Without cookies, and meant for programs in other sites' pages too. */
  readonly open: boolean;
}

const program = (...methods: OAuthPath['methods']): OAuthPath => ({ methods, open: true });
const person = (...methods: OAuthPath['methods']): OAuthPath => ({ methods, open: false });

const exact = new Map<string, OAuthPath>([
  ['/.well-known/oauth-authorization-server', program('GET')],
  ['/.well-known/openid-configuration', program('GET')],
  [oauthRoutes.authorization, person('GET')],
  [oauthRoutes.token, program('POST')],
  [oauthRoutes.registration, program('POST')],
  [oauthRoutes.revocation, program('POST')],
  [oauthRoutes.introspection, program('POST')],
  [oauthRoutes.device_authorization, program('POST')],
  [oauthRoutes.pushed_authorization_request, program('POST')],
  [oauthRoutes.userinfo, program('GET', 'POST')],
  [oauthRoutes.code_verification, person('GET', 'POST')],
]);
/** Where a request goes on after an interaction: the id of one stands at its end. */
const resumed = new RegExp(`^(?:${oauthRoutes.authorization}|${oauthRoutes.code_verification})/[A-Za-z0-9_-]{1,100}$`);

/** What is answered at that path; undefined: nothing of the authorization server's. Nothing but the exact path counts. */
export function oauthPath(path: string): OAuthPath | undefined {
  return exact.get(path) ?? (resumed.test(path) ? person('GET') : undefined);
}
