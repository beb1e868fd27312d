// The library's own grants, which its types leave out. Its version is pinned: see docs/adr.
declare module 'oidc-provider/lib/actions/grants/index.js' {
  import type Provider from 'oidc-provider';
  import type { TokenEndpointGrantContext } from 'oidc-provider';

  interface BuiltInGrant {
    readonly handler: (
      provider: Provider,
      helpers: Readonly<Record<string, unknown>>,
      ctx: TokenEndpointGrantContext,
    ) => Promise<void>;
    readonly parameters: ReadonlySet<string>;
    readonly grantType: string;
  }
  export const authorization_code: BuiltInGrant;
  export const refresh_token: BuiltInGrant;
  export const device_code: BuiltInGrant;
}
