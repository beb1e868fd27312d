import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher, Pool } from 'undici';
import type { Logger } from '../../infra/logging/logger.ts';
import { identityHeaderName } from '../../infra/security/identity-header.ts';
import { UpstreamFailedError } from '../../shared/errors.ts';
import { tokenHeaderName } from '../router/delegation.ts';
import { mediaType } from '../router/headers.ts';
import { eventData, SseSplitter } from '../router/sse.ts';
import type { Asker, Backend, Era, Hearer, HttpExchange, PendingRequest } from './backend.ts';
import { errorAnswer, faultAnswer } from './faults.ts';
import { handshake } from './handshake.ts';
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

/**
 * A server on loopback that speaks MCP over HTTP by itself. What is of its era passes as bytes, with the router's identity
 * header as it came, so that it can verify it; requests of the other era are translated and sent one by one.
 */
export class HttpChildBackend implements Backend {
  era: Era = 'legacy';
  initialized: Readonly<Record<string, unknown>> = {};
  readonly relaysSingle = true;
  readonly #options: HttpChildBackendOptions;

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
  ): Promise<void> {
    const { pool, maxMessageBytes } = this.#options;
    const options: Dispatcher.RequestOptions = {
      path: '/mcp',
      method: 'POST',
      headers: this.#headers(asker, false),
      body: message.text,
      ...(signal === undefined ? {} : { signal }),
    };
    const { statusCode, headers, body } = await pool.request(options);
    const splitter = mediaType(headers) === 'text/event-stream' ? new SseSplitter(maxMessageBytes) : undefined;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      for (const event of splitter?.push(chunk) ?? []) {
        const data = eventData(event);
        if (data !== '') hear(JsonRpcMessage.parse(data));
      }
      if (splitter !== undefined) continue;
      bytes += chunk.length;
      if (bytes > maxMessageBytes) throw new RangeError('too large');
      chunks.push(chunk);
    }
    if (splitter === undefined && statusCode !== 202 && statusCode !== 204) {
      hear(JsonRpcMessage.parse(Buffer.concat(chunks).toString('utf8')));
    }
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

function session(headers: IncomingHttpHeaders): string[] {
  return [sessionHeader, 'last-event-id'].flatMap((name) => {
    const value = headers[name];
    return typeof value === 'string' ? [name, value] : [];
  });
}
