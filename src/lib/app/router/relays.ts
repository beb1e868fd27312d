import type { IncomingHttpHeaders } from 'node:http';
import { type AppError, toAppError } from '../../shared/errors.ts';
import { refusalOf, requiredScopes } from '../executor/executor.ts';
import type { Exchange } from './exchange.ts';
import { type OnBehalf, upstreamHeaders } from './headers.ts';
import type { RequestId } from './jsonrpc.ts';
import type { Passage } from './passage.ts';
import { refuse, shuttingDown } from './refusals.ts';
import { Relay } from './relay.ts';
import type { Upstreams } from './upstreams.ts';

export interface RelaysDeps {
  readonly upstreams: Upstreams;
  readonly passage: Passage;
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
    let on: OnBehalf;
    try {
      const refusal = refusalOf(
        { server: route.config, claims: exchange.claims },
        requiredScopes(route.config, undefined),
      );
      if (refusal !== undefined) throw refusal;
      if (this.#closing) throw shuttingDown();
      this.#deps.upstreams.to(route.config.name);
      on = await this.#deps.passage.onBehalf(exchange);
    } catch (thrown) {
      onError(toAppError(thrown));
      return;
    }
    // The client left meanwhile: nobody would tell the relay, and a stream without an end would stay open.
    if (res.destroyed) return;
    const relay = new Relay({
      res,
      headers: (received: IncomingHttpHeaders) => this.#deps.passage.headers(exchange, received),
      timeoutMs: this.#deps.timeoutMs,
      onError,
    });
    this.#open.add(relay);
    const method = req.method as 'GET' | 'POST' | 'DELETE';
    this.#deps.upstreams.send(
      route.config.name,
      (upstream) => ({ path: '/mcp', method, headers: upstreamHeaders(req, upstream, on), body }),
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
