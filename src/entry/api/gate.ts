import type { IncomingMessage } from 'node:http';
import { type Cors, createCors } from './cors.ts';
import type { ApiDependencies } from './dependencies.ts';
import { createGuard, type Refusal } from './guard.ts';
import { securityHeaders } from './security-headers.ts';

/** What every request meets first, by the framework's way and by that of MCP alike. */
export interface Gate {
  /**
   * Why the request is not looked at: another host's, or from another site's page. With `anyOrigin` pages of all sites
   * may ask, which is for what reads no cookie.
   */
  refusal(request: IncomingMessage, options?: { readonly anyOrigin?: boolean }): Refusal | undefined;
  /** What its answer carries, whatever it is. */
  headers(request: IncomingMessage): Readonly<Record<string, string>>;
  readonly preflight: Cors['preflight'];
}

export function createGate({ externalUrl, web }: Pick<ApiDependencies, 'externalUrl' | 'web'>): Gate {
  const guard = createGuard([externalUrl, ...web.otherAddresses], web.corsAllowedOrigins);
  const cors = createCors(web.corsAllowedOrigins);
  const always = securityHeaders(web.securityHeaders, externalUrl);
  const plain = web.corsAllowedOrigins.length === 0;
  return {
    refusal: ({ rawHeaders, socket }, options) =>
      guard({ rawHeaders, localPort: socket.localPort, encrypted: 'encrypted' in socket }, options),
    headers: (request) => (plain ? always : { ...always, ...cors.headers(request) }),
    preflight: cors.preflight,
  };
}
