import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { UpstreamFailedError } from '../../../shared/errors.ts';
import { mediaType } from '../../router/headers.ts';
import { isRecord } from '../../router/jsonrpc.ts';
import { eventData, SseSplitter } from '../../router/sse.ts';
import type { Asker, BackendEnded, Hearer, PendingRequest } from '../backend.ts';
import { handshake } from '../handshake.ts';
import { JsonRpcMessage } from '../message.ts';
import { Multiplexer } from '../multiplexer.ts';
import type { ConnectionOptions, LegacyConnection } from './connection.ts';
import { endpointHeaders } from './endpoint.ts';
import { Exchange } from './exchange.ts';
import { refusedBy, unreached } from './failures.ts';

/** A session by HTTP+SSE (2024-11-05): one stream down, whose first event says where messages are posted to. */
export class SseConnection implements LegacyConnection, Dispatcher.DispatchHandler {
  initialized: Readonly<Record<string, unknown>> = {};
  readonly sessionId = undefined;
  readonly #options: ConnectionOptions;
  readonly #multiplexer: Multiplexer;
  readonly #splitter: SseSplitter;
  readonly #ended: Promise<BackendEnded>;
  readonly #ready: Promise<void>;
  #resolveEnded!: (reason: BackendEnded) => void;
  #resolveReady!: () => void;
  #rejectReady!: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #to: URL | undefined;
  /** The newest of its user: a token may have been renewed since it was opened. */
  #credentials: ConnectionOptions['credentials'];
  #watched = 0;
  #lastActive = performance.now();
  #over = false;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#credentials = options.credentials;
    this.#splitter = new SseSplitter(options.limit);
    this.#multiplexer = new Multiplexer({
      write: (line) => this.#post(line),
      listener: options.listener,
      // What is about one user's call must not reach the sessions of others.
      oneClient: options.ofSession,
      onStray: () => undefined,
    });
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    this.#ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
  }

  /** @throws AppError when there is no such stream, or the server refuses */
  static async open(options: ConnectionOptions): Promise<SseConnection> {
    const connection = new SseConnection(options);
    const headers = endpointHeaders(options.credentials, { accept: 'text/event-stream' });
    const timer = setTimeout(() => {
      const message = `The server elsewhere did not say within ${options.timeoutMs} ms where it takes messages.`;
      connection.#end(new UpstreamFailedError(message));
    }, options.timeoutMs);
    try {
      options.endpoint.send({ method: 'GET', headers }, connection);
      await connection.#ready;
      clearTimeout(timer);
      const { opened, timeoutMs } = options;
      const handshaken = { initialize: opened, version: '', timeoutMs, ended: connection.#ended };
      connection.initialized = (await handshake(connection.#multiplexer, handshaken)).initialized;
      connection.#multiplexer.notify(JsonRpcMessage.notification('notifications/initialized'));
      return connection;
    } catch (error) {
      clearTimeout(timer);
      await connection.close();
      throw error;
    }
  }

  get idleMs(): number {
    const busy = this.#multiplexer.pending > 0 || this.#watched > 0;
    return busy ? 0 : performance.now() - this.#lastActive;
  }

  get ended(): boolean {
    return this.#over;
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    this.#credentials = asker.credentials ?? this.#credentials;
    return this.#multiplexer.request(request, asker, {
      onMessage: (message) => hearer.onMessage(message),
      onAnswer: (answer) => {
        this.#lastActive = performance.now();
        if (request.method === 'resources/subscribe' && isRecord(answer.value['result'])) this.#watched += 1;
        if (request.method === 'resources/unsubscribe') this.#watched = Math.max(0, this.#watched - 1);
        hearer.onAnswer(answer);
      },
    });
  }

  notify(notification: JsonRpcMessage): void {
    if (notification.method !== 'notifications/initialized') this.#multiplexer.notify(notification);
  }

  respond(response: JsonRpcMessage): void {
    this.#multiplexer.respond(response);
  }

  async close(): Promise<void> {
    this.#end(new UpstreamFailedError('The connection was closed.'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error('It was closed.'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#over) return;
    if (status !== 200) this.#end(refusedBy(status));
    else if (mediaType(headers) !== 'text/event-stream') {
      this.#end(new UpstreamFailedError('The server elsewhere answered with something else than a stream of events.'));
    }
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    try {
      for (const event of this.#splitter.push(chunk)) this.#event(event);
    } catch {
      this.#end(new UpstreamFailedError('The server elsewhere sent an event that is larger than the limit.'));
    }
  }

  onResponseEnd(): void {
    this.#end(new UpstreamFailedError('The server elsewhere ended its stream.'));
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#end(unreached(error));
  }

  #event(event: Buffer): void {
    const data = eventData(event);
    const type = /(?:^|[\r\n])event: ?([^\r\n]*)/.exec(event.toString('utf8'))?.[1];
    if (type === 'endpoint') this.#found(data);
    else if (data !== '' && (type === undefined || type === 'message')) this.#multiplexer.receive(data);
  }

  /** Messages go where the credentials belong, or nowhere. */
  #found(address: string): void {
    const { url } = this.#options.endpoint;
    const to = URL.canParse(address, url.href) ? new URL(address, url) : undefined;
    if (to?.origin !== url.origin) {
      this.#end(
        new UpstreamFailedError('The server elsewhere takes its messages at another origin, which is not followed.'),
      );
      return;
    }
    this.#to = to;
    this.#resolveReady();
  }

  #post(line: string): boolean {
    if (this.#over || this.#to === undefined) return false;
    const { endpoint, limit } = this.#options;
    const credentials = this.#credentials;
    const revision = this.initialized['protocolVersion'];
    const headers = endpointHeaders(credentials, {
      'content-type': 'application/json',
      'mcp-protocol-version': typeof revision === 'string' ? revision : undefined,
    });
    const exchange = new Exchange(
      {
        // A server that takes no message any more will answer none.
        onHead: (status, received) => {
          if (status === 401 || status === 403) credentials?.onRefused?.(status, received['www-authenticate']);
          if (status >= 400) this.#end(refusedBy(status));
          return undefined;
        },
        onMessage: () => undefined,
        onEnd: () => undefined,
      },
      limit,
    );
    endpoint.send({ method: 'POST', headers, body: line, url: this.#to }, exchange);
    return true;
  }

  #end(error: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#rejectReady(error);
    this.#ready.catch(() => undefined);
    const reason: BackendEnded = { message: error.message };
    this.#resolveEnded(reason);
    this.#multiplexer.end(reason);
    this.#controller?.abort(error);
  }
}
