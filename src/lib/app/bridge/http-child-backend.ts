import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher, Pool } from 'undici';
import type { Logger } from '../../infra/logging/logger.ts';
import { identityHeaderName } from '../../infra/security/identity-header.ts';
import { UpstreamFailedError } from '../../shared/errors.ts';
import { tokenHeaderName } from '../router/delegation.ts';
import { mediaType } from '../router/headers.ts';
import { eventData, SseSplitter } from '../router/sse.ts';
import type { Asker, Backend, Era, Hearer, HttpExchange, PendingRequest } from './backend.ts';
import { isDiscovered } from './eras/discovery.ts';
import { toModernParams } from './eras/envelope.ts';
import { modernRevision } from './eras/revisions.ts';
import { errorAnswer, faultAnswer } from './faults.ts';
import { bridgeItself, handshake } from './handshake.ts';
import { JsonRpcMessage, type RequestId } from './message.ts';
import { Passing } from './passing.ts';
import { sendJson } from './reply.ts';

export interface HttpChildBackendOptions {
  readonly pool: Pool;
  readonly startTimeoutMs: number;
  readonly maxMessageBytes: number;
  readonly ownIdentity: () => string;
  readonly logger: Logger;
  readonly close: () => Promise<void>;
}

const sessionHeader = 'mcp-session-id';
/** How long a server that answered `initialize` may think about what only the other era knows, in ms. */
const discoverMs = 2_000;

/**
 * A server on loopback that speaks MCP over HTTP by itself. What is of its era passes as bytes, with the router's identity
 * header as it came, so that it can verify it; requests of the other era are translated and sent one by one.
 */
export class HttpChildBackend implements Backend {
  era: Era = 'legacy';
  initialized: Readonly<Record<string, unknown>> = {};
  /** The same server in the modern era, when it speaks both. */
  other?: Backend;
  readonly #options: HttpChildBackendOptions;
  /** Of a server that keeps sessions and takes nothing without one: the bridge's own, for single requests. */
  #session: string | undefined;
  /** A session that is being begun in the place of one that was forgotten, whoever met that. */
  #beginning: Promise<void> | undefined;

  constructor(options: HttpChildBackendOptions) {
    this.#options = options;
  }

  /** Learns which era the server speaks. @throws UpstreamFailedError */
  async introduce(): Promise<void> {
    const { startTimeoutMs } = this.#options;
    const introduced = await handshake(
      {
        request: (request, asker, hearer) => this.request(request, asker, hearer),
        notify: () => undefined, // it was one request, not the beginning of a session
      },
      { initialize: undefined, version: '1', timeoutMs: startTimeoutMs, ended: new Promise(() => undefined) },
    );
    this.era = introduced.era;
    this.initialized = introduced.initialized;
    if (this.#session !== undefined) {
      this.notify(JsonRpcMessage.notification('notifications/initialized'), bridgeItself);
    }
    if (this.era === 'legacy' && this.other === undefined) {
      const modern = await this.#inModernEra();
      if (modern !== undefined) this.other = modern;
    }
  }

  /** Legacy requests without a session pass as they are where the server keeps none. */
  get relaysSingle(): boolean {
    return this.#session === undefined && this.#beginning === undefined;
  }

  /** A server that speaks both eras gets clients of each as they are. */
  async #inModernEra(): Promise<HttpChildBackend | undefined> {
    const modern = new HttpChildBackend(this.#options);
    modern.era = 'modern';
    const headers = { 'mcp-protocol-version': modernRevision, 'mcp-method': 'server/discover' };
    const sender = { clientInfo: { name: 'systemprompt', version: '1' }, capabilities: {}, logLevel: undefined };
    const request = JsonRpcMessage.request('discover', 'server/discover', toModernParams({}, sender));
    const answer = await new Promise<JsonRpcMessage | undefined>((resolve) => {
      const hearer = { onMessage: () => undefined, onAnswer: resolve };
      const pending = modern.request(request, { ...bridgeItself, era: 'modern', headers }, hearer);
      setTimeout(() => {
        pending.cancel();
        resolve(undefined);
      }, discoverMs).unref();
    });
    const { result } = answer?.value ?? {};
    if (!isDiscovered(result)) return undefined;
    modern.initialized = result;
    return modern;
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const id = request.id as RequestId;
    const abort = new AbortController();
    let open = true;
    const answer = (message: JsonRpcMessage): void => {
      if (!open) return;
      open = false;
      hearer.onAnswer(message);
    };
    const hear = (message: JsonRpcMessage | undefined): void => {
      if (message === undefined) answer(faultAnswer(id, 'The server sent what is no JSON-RPC message.'));
      else if (message.kind !== 'response') hearer.onMessage(message);
      else if (message.id === id) answer(message);
      else if (message.id === null || message.id === undefined) answer(message.withId(id));
      else answer(faultAnswer(id, 'The server answered another request than it was sent.'));
    };
    void this.#post(request, asker, hear, abort.signal).then(
      () => answer(faultAnswer(id, 'The server ended its response without an answer.')),
      (error: unknown) => {
        if (!abort.signal.aborted) answer(errorAnswer(id, this.#fault(error)));
      },
    );
    return {
      cancel: (reason) => {
        if (!open) return;
        open = false;
        abort.abort();
        if (this.era === 'modern') return;
        const params = { requestId: id, ...(reason === undefined ? {} : { reason }) };
        this.notify(JsonRpcMessage.notification('notifications/cancelled', params), asker);
      },
    };
  }

  notify(notification: JsonRpcMessage, asker: Asker): void {
    void this.#post(notification, asker, () => undefined, undefined).catch((error: unknown) => {
      this.#options.logger.warn({ err: error, method: notification.method }, 'a notification was not taken');
    });
  }

  respond(response: JsonRpcMessage, asker: Asker): void {
    this.notify(response, asker);
  }

  async relay({ req, res, body, asker }: HttpExchange): Promise<void> {
    const passing = new Passing(res, (error) => sendJson(res, errorAnswer(null, this.#fault(error)).text));
    const headers = [...this.#headers(asker, req.method === 'GET'), ...session(req.headers)];
    const method = req.method as 'GET' | 'POST' | 'DELETE';
    this.#options.pool.dispatch({ path: '/mcp', method, headers, body: body ?? null }, passing);
    await passing.done;
  }

  async close(): Promise<void> {
    await this.#options.close();
  }

  async #post(
    message: JsonRpcMessage,
    asker: Asker,
    hear: (message: JsonRpcMessage | undefined) => void,
    signal: AbortSignal | undefined,
    again = true,
  ): Promise<void> {
    const { pool, maxMessageBytes } = this.#options;
    // Without a session it would be refused.
    if (asker !== bridgeItself) await this.#beginning;
    const own = message.method === 'initialize' || this.#session === undefined ? [] : [sessionHeader, this.#session];
    const options: Dispatcher.RequestOptions = {
      path: '/mcp',
      method: 'POST',
      headers: [...this.#headers(asker, false), ...own],
      body: message.text,
      ...(signal === undefined ? {} : { signal }),
    };
    const { statusCode, headers, body } = await pool.request(options);
    const begun = headers[sessionHeader];
    if (message.method === 'initialize' && typeof begun === 'string') this.#session = begun;
    if (again && statusCode === 404 && own.length > 0 && message.kind === 'request') {
      // It has forgotten the session, and done nothing with the request (2025-11-25, session management).
      await body.dump();
      await this.#beginAnew(own[1]);
      await this.#post(message, asker, hear, signal, false);
      return;
    }
    const streams = mediaType(headers) === 'text/event-stream';
    const whole = await read(body as AsyncIterable<Buffer>, streams ? hear : undefined, maxMessageBytes);
    if (!streams && statusCode !== 202 && statusCode !== 204) hear(JsonRpcMessage.parse(whole));
  }

  /** Many requests meet the end of a session at once: one session takes its place. @param lost the one that they met */
  async #beginAnew(lost: string | undefined): Promise<void> {
    if (this.#session === lost) {
      this.#session = undefined;
      this.#beginning = this.introduce().finally(() => {
        this.#beginning = undefined;
      });
    }
    await this.#beginning;
  }

  /** Of the client's request: who it is, and what MCP and tracing say of it. Without one the bridge speaks for itself. */
  #headers({ headers, era }: Asker, listens: boolean): string[] {
    const identity = headers[identityHeaderName];
    const result = [
      'accept',
      listens ? 'text/event-stream' : 'application/json, text/event-stream',
      identityHeaderName,
      typeof identity === 'string' ? identity : this.#options.ownIdentity(),
    ];
    if (!listens) result.push('content-type', 'application/json');
    for (const [name, value] of Object.entries(headers)) {
      const mcp = name.startsWith('mcp-') && name !== sessionHeader && era === this.era;
      if (!mcp && name !== tokenHeaderName && name !== 'traceparent' && name !== 'tracestate') continue;
      if (typeof value === 'string') result.push(name, value);
    }
    return result;
  }

  #fault(error: unknown): unknown {
    this.#options.logger.warn({ err: error }, 'the program did not answer');
    const message =
      error instanceof RangeError
        ? 'The server answered with more than the bridge takes.'
        : 'The server did not answer: the connection broke.';
    return new UpstreamFailedError(message);
  }
}

/** Reads a body: its events as they come, or all of it. @throws RangeError when a message is too large */
async function read(
  body: AsyncIterable<Buffer>,
  hear: ((message: JsonRpcMessage | undefined) => void) | undefined,
  limit: number,
): Promise<string> {
  const splitter = hear === undefined ? undefined : new SseSplitter(limit);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    for (const event of splitter?.push(chunk) ?? []) {
      const data = eventData(event);
      if (data !== '') hear?.(JsonRpcMessage.parse(data));
    }
    if (splitter !== undefined) continue;
    bytes += chunk.length;
    if (bytes > limit) throw new RangeError('too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function session(headers: IncomingHttpHeaders): string[] {
  return [sessionHeader, 'last-event-id'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [name, value] : [];
  });
}
