import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { EventAnswer } from './event-answer.ts';
import type { Exchange } from './exchange.ts';
import { sessionHeader } from './headers.ts';
import type { RequestId } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import type { Session, Sessions } from './sessions.ts';

/** Bytes that may wait for a client that posts and does not read; then it is cut off rather than that memory grows. */
const waitingLimit = 32 * 1024 * 1024;
/** A stream of the server that ended sooner than this, in ms, is not opened again. */
const shortMs = 1000;

export interface LegacyStreamOptions {
  readonly id: string;
  /** The request that opened it. */
  readonly exchange: Exchange;
  readonly keepAlive: KeepAlive;
  readonly sessions: Pick<Sessions, 'known' | 'hold'>;
  /** Opens the stream of what the server says by itself; settles when it is over. */
  readonly listen: (exchange: Exchange) => Promise<void>;
  /** Called once, when it is over. */
  readonly onClose: (stream: LegacyStream) => void;
}

/**
 * The one stream on which a client of MCP 2024-11-05 hears everything: the answers to what it posts, and what the server
 * says by itself. To the server it is a session of Streamable HTTP.
 */
export class LegacyStream {
  readonly id: string;
  readonly res: ServerResponse;
  readonly #options: LegacyStreamOptions;
  readonly #answers = new Set<EventAnswer>();
  readonly #kept: ReturnType<KeepAlive['open']>;
  #release: (() => void) | undefined;
  #session: Session | undefined;
  #listening = false;
  #closed = false;

  constructor(options: LegacyStreamOptions, endpoint: string) {
    const { exchange, keepAlive } = options;
    const { res } = exchange;
    this.id = options.id;
    this.res = res;
    this.#options = options;
    res.writeHead(200, {
      ...exchange.headers,
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      // nginx would keep the events until its buffer is full.
      'x-accel-buffering': 'no',
    });
    res.write(`event: endpoint\ndata: ${endpoint}\n\n`);
    this.#kept = keepAlive.open(res, () => void this.#look());
    res.once('close', () => this.close());
  }

  /** The session at the server, once it has begun. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Whether it is this user's stream at this server. */
  isOf({ route, claims }: Exchange): boolean {
    const own = this.#options.exchange;
    return own.route === route && own.claims.sub === claims.sub;
  }

  send(json: string): boolean {
    if (this.#closed || this.res.destroyed) return false;
    // JSON text that came with line breaks has them between its tokens only.
    const event = `event: message\ndata: ${json.replace(/\r\n|\n|\r/g, '\ndata: ')}\n\n`;
    this.#kept.passed(event);
    const more = this.res.write(event);
    if (this.res.writableLength > waitingLimit) this.res.destroy();
    return more;
  }

  /** What was posted, as a request of Streamable HTTP whose answer goes to this stream. */
  exchangeFor(posted: Exchange, id: RequestId | null): Exchange {
    const answer = new EventAnswer(this, id, (_, headers) => this.#begun(headers[sessionHeader]));
    this.#answers.add(answer);
    answer.once('close', () => this.#answers.delete(answer));
    return { ...posted, req: this.#request(posted.req, 'POST'), res: answer.response, headers: {}, transport: 'sse' };
  }

  /** Opens the stream of what the server says by itself; there is one when the server keeps sessions. */
  listen(posted: Exchange): void {
    if (this.#listening || this.#session === undefined || this.#closed) return;
    this.#listening = true;
    const since = performance.now();
    const answer = new EventAnswer(this, null);
    this.#answers.add(answer);
    const exchange = { ...posted, req: this.#request(posted.req, 'GET'), res: answer.response, headers: {} };
    void this.#options.listen(exchange).finally(() => {
      this.#answers.delete(answer);
      this.#listening = false;
      if (answer.statusCode === 200 && performance.now() - since > shortMs) this.listen(posted);
    });
  }

  /** Ends it, and what is still answered on it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#kept.release();
    this.#release?.();
    for (const answer of [...this.#answers]) answer.destroy();
    if (!this.res.writableEnded) this.res.end();
    this.#options.onClose(this);
  }

  #begun(bound: unknown): void {
    if (this.#session !== undefined || typeof bound !== 'string') return;
    const { sessions } = this.#options;
    this.#session = sessions.known(bound);
    if (this.#session !== undefined) this.#release = sessions.hold(this.#session, () => this.close());
  }

  /** The request with the session in its headers, which its client does not know of. */
  #request(req: IncomingMessage, method: string): IncomingMessage {
    const headers: IncomingHttpHeaders = { ...req.headers };
    delete headers[sessionHeader];
    if (this.#session !== undefined) headers[sessionHeader] = this.#session.bound;
    return Object.create(req, { headers: { value: headers }, method: { value: method } }) as IncomingMessage;
  }

  /** The token that opened the stream may expire, since every message brings one; a sign-in that was ended ends it. */
  async #look(): Promise<void> {
    try {
      await this.#options.exchange.stillAllowed?.();
    } catch (error) {
      const { code, data } = error as { code?: string; data?: { reason?: unknown } };
      if (code === 'UNAUTHENTICATED' && data?.reason !== 'expired') this.close();
    }
  }
}
