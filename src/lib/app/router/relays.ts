import type { IncomingHttpHeaders } from 'node:http';
import { type AppError, toAppError } from '../../shared/errors.ts';
import { refusalOf, requiredScopes } from '../executor/executor.ts';
import type { Breakers } from './breaker.ts';
import type { Exchange } from './exchange.ts';
import { lastEventHeader, type OnBehalf, upstreamHeaders } from './headers.ts';
import type { RequestId } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import type { Passage } from './passage.ts';
import { refuse, shuttingDown } from './refusals.ts';
import { Relay, type RelayOptions } from './relay.ts';
import type { ServerLimits } from './server-limits.ts';
import type { Session, Sessions } from './sessions.ts';
import { isForListeners } from './sse.ts';
import type { Upstream, Upstreams } from './upstreams.ts';

export interface RelaysDeps {
  readonly upstreams: Upstreams;
  readonly passage: Passage;
  readonly keepAlive: KeepAlive;
  readonly breakers: Breakers;
  readonly serverLimits: Pick<ServerLimits, 'refusal'>;
  /** Hears of a server that says that its list of tools changed. */
  readonly onListChanged?: ((server: string, user: string) => void) | undefined;
  /** How long a server may take for an answer that is no stream, in ms. */
  readonly timeoutMs: number;
}

/** Everything that is no tools/call: the caller needs the server's scopes, and the bytes pass as they are. */
export class Relays {
  readonly #deps: RelaysDeps;
  readonly #open = new Set<Relay>();
  #closing = false;

  constructor(deps: RelaysDeps) {
    this.#deps = deps;
  }

  /** Settles when the exchange is over. */
  async handle(exchange: Exchange, body: Buffer | null, id: RequestId | null): Promise<void> {
    const { req, res, route } = exchange;
    const onError = (error: AppError) => refuse(exchange, { error, id });
    const { config } = route;
    const { upstreams, passage, breakers, keepAlive, serverLimits, onListChanged } = this.#deps;
    let on: OnBehalf;
    try {
      const refusal = refusalOf(
        { server: route.config, claims: exchange.claims },
        requiredScopes(route.config, undefined),
      );
      if (refusal !== undefined) throw refusal;
      if (this.#closing) throw shuttingDown();
      const limited = serverLimits.refusal(config, exchange.claims);
      const refused = (limited instanceof Promise ? await limited : limited) ?? breakers.refusal(config);
      if (refused !== undefined) throw refused;
      on = await passage.onBehalf(exchange, upstreams.to(config.name));
    } catch (thrown) {
      onError(toAppError(thrown));
      return;
    }
    // The client left meanwhile: nobody would tell the relay, and a stream without an end would stay open.
    if (res.destroyed) return;
    const { session } = on;
    let answered: Upstream | undefined;
    const relay = new Relay({
      res,
      headers: (received: IncomingHttpHeaders) => passage.headers(exchange, answered, received),
      timeoutMs: this.#deps.timeoutMs,
      keepAlive,
      onListChanged: onListChanged && (() => onListChanged(config.name, exchange.claims.sub)),
      onOutcome: (error) => breakers.record(config, error),
      ...(session === undefined ? {} : sessionHooks(passage.sessions, session, req.method)),
      ...(req.method === 'GET' ? { stillAllowed: exchange.stillAllowed, passes: isForListeners } : {}),
      onError,
    });
    this.#open.add(relay);
    // What a server says by itself can be taken up again; an answer that came so would come past the audit.
    const last = req.headers[lastEventHeader];
    const after = req.method === 'GET' && typeof last === 'string' ? last : undefined;
    const method = req.method as 'GET' | 'POST' | 'DELETE';
    upstreams.send(
      config.name,
      (upstream) => {
        answered = upstream;
        const headers = upstreamHeaders(req, upstream, on);
        if (after !== undefined) headers.push(lastEventHeader, after);
        return { path: '/mcp', method, headers, body };
      },
      relay,
    );
    await relay.done;
    this.#open.delete(relay);
  }

  /** Ends what is open: streams would last for ever. */
  close(): void {
    this.#closing = true;
    for (const relay of this.#open) relay.stop(shuttingDown());
  }
}

/** What happens to a session by the way: it lasts as long as a stream is open, and ends when its client or server says so. */
function sessionHooks(sessions: Sessions, session: Session, method: string | undefined): Partial<RelayOptions> {
  return {
    onStream: (stop) => sessions.hold(session, stop),
    onAnswer: (status) => {
      if (status === 404) sessions.over(session, 'lost');
      else if (method === 'DELETE' && status < 300) sessions.over(session, 'closed');
    },
  };
}
