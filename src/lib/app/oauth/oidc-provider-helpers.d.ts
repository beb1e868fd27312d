/** What we use of oidc-provider 9.13 beyond its face: grants of one's own get no helpers. */
declare module 'oidc-provider/lib/helpers/validate_dpop.js' {
  import type { KoaContextWithOIDC, Provider } from 'oidc-provider';

  interface DpopProof {
    /** RFC 7638 thumbprint of the key. */
    readonly thumbprint: string;
    readonly jti: string;
    readonly iat: number;
  }
  /** The proof of the request, undefined when it has none. @throws InvalidDpopProof, UseDpopNonce */
  function validateDpop(provider: Provider, ctx: KoaContextWithOIDC): Promise<DpopProof | undefined>;
  /** @throws `ErrorClass` when the proof was seen before */
  export function checkDpopReplay(
    provider: Provider,
    ctx: KoaContextWithOIDC,
    proof: DpopProof | undefined,
    clientId: string,
    ErrorClass: new (message: string) => Error,
  ): Promise<void>;
  // biome-ignore lint/style/noDefaultExport: it is theirs
  export { validateDpop as default };
}
