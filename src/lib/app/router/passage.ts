import type { IncomingHttpHeaders } from 'node:http';
import type { Delegation } from './delegation.ts';
import type { Exchange } from './exchange.ts';
import { downstreamHeaders, type OnBehalf, sessionOf } from './headers.ts';
import { unknownSession } from './refusals.ts';
import type { SessionBinding } from './session-binding.ts';

/** What changes on the way between client and server: whose session it is, and in whose name the server may act. */
export class Passage {
  readonly #sessions: SessionBinding;
  readonly #delegation: Pick<Delegation, 'token'>;

  constructor(sessions: SessionBinding, delegation: Pick<Delegation, 'token'>) {
    this.#sessions = sessions;
    this.#delegation = delegation;
  }

  /** @throws NotFoundError for a session that is not the caller's */
  async onBehalf({ req, route, claims }: Exchange): Promise<OnBehalf> {
    const given = sessionOf(req);
    const session = given === undefined ? undefined : this.#sessions.unbind(route.config.name, claims.sub, given);
    if (given !== undefined && session === undefined) throw unknownSession();
    const token = route.config.delegate ? await this.#delegation.token(claims) : undefined;
    return { claims, session, token };
  }

  /** The headers of a server's answer that its client gets. */
  headers({ route, claims, headers }: Exchange, received: IncomingHttpHeaders): Record<string, string> {
    return downstreamHeaders(headers, received, (session) =>
      this.#sessions.bind(route.config.name, claims.sub, session),
    );
  }
}
