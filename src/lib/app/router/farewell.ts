import type { Dispatcher } from 'undici';
import type { UnsettledSession } from '../../domain/mcp/index.ts';
import { identityHeaderName, signIdentity } from '../../infra/security/identity-header.ts';
import { sessionHeader } from './headers.ts';
import { unknownSession } from './unknown-session.ts';
import type { Upstreams } from './upstreams.ts';

/** How long a server may take to take note, in ms. */
const timeoutMs = 5_000;

/**
 * Tells a server that a session of its is over (DELETE, MCP 2025-11-25), on behalf of the user whose it was and without any
 * of their rights. Nobody waits: a server that can't be told forgets it by itself, in its time.
 */
export function tellOver(upstreams: Pick<Upstreams, 'send'>, session: UnsettledSession): void {
  upstreams.send(
    session.server,
    (upstream) => {
      if (upstream.instanceId !== session.instanceId) throw unknownSession();
      const iat = Math.floor(Date.now() / 1000);
      const identity = signIdentity(upstream.identityKey, {
        aud: upstream.instanceId,
        sub: session.userId,
        name: session.userName,
        sid: session.signInId,
        scopes: [],
        iat,
        exp: iat + 60,
      });
      const headers = [identityHeaderName, identity, sessionHeader, session.upstreamId];
      return { path: '/mcp', method: 'DELETE', headers, body: null };
    },
    new Unheard(),
  );
}

/** Takes in an answer that is of no interest, and gives up what takes too long. */
class Unheard implements Dispatcher.DispatchHandler {
  #timer: NodeJS.Timeout | undefined;

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#timer = setTimeout(() => controller.abort(new Error('The server took too long.')), timeoutMs).unref();
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    clearTimeout(this.#timer);
  }

  onResponseError(): void {
    clearTimeout(this.#timer);
  }
}
