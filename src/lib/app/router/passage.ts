import type { IncomingHttpHeaders } from 'node:http';
import { refusedHeaderName } from '../bridge/credentials.ts';
import type { UpstreamCredentialSource } from '../upstream/credentials.ts';
import type { Delegation } from './delegation.ts';
import type { Exchange } from './exchange.ts';
import { downstreamHeaders, type OnBehalf, sessionOf } from './headers.ts';
import type { Session, Sessions } from './sessions.ts';
import { unknownSession } from './unknown-session.ts';
import type { Upstream } from './upstreams.ts';
import type { VirtualSessions } from './virtual-sessions.ts';

/** What changes on the way between client and server: whose session it is, and in whose name the server may act. */
export class Passage {
  readonly sessions: Sessions;
  readonly #delegation: Pick<Delegation, 'token'>;
  readonly #credentials: UpstreamCredentialSource | undefined;
  readonly #virtual: Pick<VirtualSessions, 'at' | 'naming'>;
  /** What each request took along for the server behind: it may be refused when another has taken its place. */
  readonly #sent = new WeakMap<Exchange['req'], string>();

  /** @param virtual sessions of clients of virtual servers, and what they have at targets */
  constructor(
    sessions: Sessions,
    delegation: Pick<Delegation, 'token'>,
    credentials: UpstreamCredentialSource | undefined,
    virtual: Pick<VirtualSessions, 'at' | 'naming'>,
  ) {
    this.#virtual = virtual;
    this.sessions = sessions;
    this.#delegation = delegation;
    this.#credentials = credentials;
  }

  /**
   * @param upstream the run of the server that serves now
   * @throws NotFoundError for a session that is not the caller's, that is over, or that another run of the server had;
   *   ForbiddenError when the server wants something that the caller has not brought
   */
  async onBehalf(exchange: Exchange, upstream: Upstream): Promise<OnBehalf> {
    const { req, route, claims, via } = exchange;
    const { instanceId } = upstream;
    // What the client shows to a virtual server is no session of a target's.
    const given = via === undefined ? sessionOf(req) : undefined;
    let session: Session | undefined;
    if (given !== undefined) {
      const version = req.headers['mcp-protocol-version'];
      const owner = { server: route.config.name, instanceId, userId: claims.sub };
      const found = this.sessions.find(
        owner,
        given,
        claims,
        typeof version === 'string' ? version.slice(0, 40) : undefined,
      );
      session = found instanceof Promise ? await found : found;
      if (session === undefined) throw unknownSession();
    }
    const token = route.config.delegate ? await this.#delegation.token(claims) : undefined;
    const wanted = this.#credentials?.headerFor(route.config.name, claims.sub);
    const credentials = wanted === undefined ? undefined : await wanted;
    if (credentials !== undefined) this.#sent.set(req, credentials);
    const on = { claims, session, token, tool: via?.tool, credentials };
    const { inSession, virtualSession } = exchange;
    if (inSession !== undefined) return { ...on, session: sessionAt(upstream, inSession) };
    if (virtualSession === undefined) return on;
    const begun = await this.#virtual.at(exchange, upstream, on);
    return { ...on, session: begun, naming: this.#virtual.naming(virtualSession, route.config.name, begun) };
  }

  /**
   * The headers of a server's answer that its client gets. A session id that comes with it is the beginning of a session.
   * @param answered the run of the server that the answer is from
   */
  headers(
    { req, route, claims, headers, hello, transport, via }: Exchange,
    answered: Pick<Upstream, 'instanceId'> | undefined,
    received: IncomingHttpHeaders,
  ): Record<string, string> {
    const refused = received[refusedHeaderName];
    if (typeof refused === 'string') {
      this.#credentials?.refused(route.config.name, claims.sub, refused, this.#sent.get(req));
    }
    return downstreamHeaders(headers, received, (sessionId) => {
      // Without a request there is no answer.
      if (answered === undefined || via !== undefined) return undefined;
      const owner = { server: route.config.name, instanceId: answered.instanceId, userId: claims.sub };
      return this.sessions.begin(owner, sessionId, claims, hello, transport).bound;
    });
  }
}

/** A session that is known by its id at the server alone: another API process may have begun it. */
function sessionAt({ instanceId }: Upstream, upstreamId: string): Session | undefined {
  return upstreamId === '' ? undefined : ({ id: '', upstreamId, instanceId } as Session);
}
