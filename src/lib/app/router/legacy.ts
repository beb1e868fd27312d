import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { mcpEndpointPath } from '../../domain/mcp/index.ts';
import { NotFoundError, toAppError } from '../../shared/errors.ts';
import { refusalOf, requiredScopes } from '../executor/executor.ts';
import type { Exchange } from './exchange.ts';
import type { Message } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import { LegacyStream } from './legacy-stream.ts';
import type { Peers } from './peers.ts';
import { refuse, shuttingDown } from './refusals.ts';
import type { Session, Sessions } from './sessions.ts';

export interface LegacyDeps {
  /** The address of the API. */
  readonly externalUrl: string;
  readonly keepAlive: KeepAlive;
  readonly sessions: Sessions;
  readonly peers: Peers;
  /** Answers as Streamable HTTP does. */
  readonly dispatch: (exchange: Exchange, message: Message, body: Buffer) => Promise<void>;
  /** Opens the stream of what a server says by itself; settles when it is over. */
  readonly listen: (exchange: Exchange) => Promise<void>;
  /** Tells the server that a session of its is over. */
  readonly tell: (session: Session, exchange: Exchange) => void;
}

/**
 * HTTP with SSE as clients of MCP 2024-11-05 speak it: `GET …/sse` is a stream that names an address, and what is posted
 * there is answered on the stream. The stream lives in one API process; what another one gets is handed to it.
 */
export class Legacy {
  readonly #deps: LegacyDeps;
  readonly #streams = new Map<string, LegacyStream>();
  readonly #prefix: string;
  #closing = false;

  constructor(deps: LegacyDeps) {
    this.#deps = deps;
    this.#prefix = new URL(deps.externalUrl).pathname.replace(/\/$/, '');
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Opens a stream; settles when it is over. */
  async open(exchange: Exchange): Promise<void> {
    const { route, res } = exchange;
    const { config } = route;
    const refusal = refusalOf({ server: config, claims: exchange.claims }, requiredScopes(config, undefined));
    if (refusal !== undefined) return refuse(exchange, { error: refusal });
    if (this.#closing) return refuse(exchange, { error: shuttingDown() });
    if (res.destroyed) return;
    const { keepAlive, sessions, listen, tell, peers } = this.#deps;
    const id = `${peers.own}.${randomBytes(16).toString('base64url')}`;
    const path = `${this.#prefix}${mcpEndpointPath(config.name).replace(/mcp$/, 'messages')}?session=${id}`;
    await new Promise<void>((resolve) => {
      const onClose = (stream: LegacyStream) => {
        this.#streams.delete(id);
        const { session } = stream;
        if (session !== undefined && sessions.over(session, 'closed')) tell(session, exchange);
        resolve();
      };
      this.#streams.set(id, new LegacyStream({ id, exchange, keepAlive, sessions, listen, onClose }, path));
    });
  }

  /** Hands a message to the process that has its stream. @returns false when that is this one, or nobody */
  forward(req: IncomingMessage, res: ServerResponse): boolean {
    const [owner] = sessionIn(req).split('.', 1);
    return this.#deps.peers.forward(owner ?? '', req, res);
  }

  /** The stream that a message is for. @throws NotFoundError when there is none of this user at this server */
  streamOf(exchange: Exchange): LegacyStream {
    const stream = this.#streams.get(sessionIn(exchange.req));
    if (stream?.isOf(exchange)) return stream;
    throw new NotFoundError('There is no such stream.', { hint: 'It ended: open a new one with GET …/sse.' });
  }

  /** Takes a message of a client: what is answered comes on its stream. */
  async take(posted: Exchange, message: Message, body: Buffer): Promise<void> {
    let stream: LegacyStream;
    try {
      stream = this.streamOf(posted);
    } catch (thrown) {
      return refuse(posted, { error: toAppError(thrown), ...('id' in message ? { id: message.id } : {}) });
    }
    const { res, headers } = posted;
    res.writeHead(202, { ...headers, 'content-type': 'text/plain', 'cache-control': 'no-store' }).end('Accepted');
    const id = message.kind === 'call' || message.kind === 'request' ? message.id : null;
    await this.#deps.dispatch(stream.exchangeFor(posted, id), message, body);
    if (message.kind === 'notification' && message.method === 'notifications/initialized') stream.listen(posted);
  }

  /** Ends all streams. */
  close(): void {
    this.#closing = true;
    for (const stream of [...this.#streams.values()]) stream.close();
  }
}

function sessionIn({ url = '' }: IncomingMessage): string {
  return /[?&]session=([\w.-]{1,100})(?:&|$)/.exec(url)?.[1] ?? '';
}
