import type { IncomingHttpHeaders } from 'node:http';
import { UpstreamFailedError } from '../../../shared/errors.ts';
import { isRecord } from '../../router/jsonrpc.ts';
import type { Asker, Hearer, PendingRequest } from '../backend.ts';
import { asObject } from '../eras/json.ts';
import { JsonRpcMessage, type RequestId } from '../message.ts';
import type { ConnectionOptions, LegacyConnection } from './connection.ts';
import { endpointHeaders, traceHeaders } from './endpoint.ts';
import { Exchange } from './exchange.ts';
import { failure, failureIn, sessionLost } from './failures.ts';
import { sendRequest } from './request.ts';

/** How long to wait before the stream for what belongs to no request is opened anew, in ms. */
const listenAgainMs = 2_000;

interface Pending {
  readonly id: RequestId;
  readonly hearer: Hearer;
}

/** A session by Streamable HTTP (2025-03-26 to 2025-11-25); one with a server that keeps none as well. */
export class HttpConnection implements LegacyConnection {
  initialized: Readonly<Record<string, unknown>> = {};
  readonly #options: ConnectionOptions;
  readonly #pending = new Set<Pending>();
  readonly #watched = new Set<string>();
  /** The newest of its user: a token may have been renewed since it was opened. */
  #credentials: ConnectionOptions['credentials'];
  #session: string | undefined;
  /** Of the last answer to a request of the connection itself. */
  #status = 0;
  #lastId = 0;
  #lastActive = performance.now();
  #stream: Exchange | undefined;
  #listenAgain: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;
  #closed = false;

  private constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#credentials = options.credentials;
  }

  /** @throws AppError when the server refuses, in its own words where it speaks JSON-RPC */
  static async open(options: ConnectionOptions): Promise<HttpConnection> {
    const connection = new HttpConnection(options);
    await connection.#initialize();
    connection.#listen();
    return connection;
  }

  get idleMs(): number {
    const busy = this.#pending.size > 0 || this.#watched.size > 0;
    return busy ? 0 : performance.now() - this.#lastActive;
  }

  get ended(): boolean {
    return this.#closed;
  }

  get sessionId(): string | undefined {
    return this.#session;
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const credentials = asker.credentials ?? this.#credentials;
    this.#credentials = credentials;
    let current: PendingRequest | undefined;
    const pending: Pending = { id: request.id ?? 0, hearer };
    this.#pending.add(pending);
    const own = this.#own(request);
    const answer = (message: JsonRpcMessage) => {
      if (!this.#pending.delete(pending)) return;
      this.#lastActive = performance.now();
      this.#watch(request, message);
      hearer.onAnswer(message);
    };
    const send = (again: boolean) => {
      const session = this.#session;
      let lost = false;
      current = sendRequest({
        endpoint: this.#options.endpoint,
        message: own,
        id: pending.id,
        headers: this.#headers({ ...traceHeaders(asker) }),
        limit: this.#options.limit,
        credentials,
        hearer: {
          onMessage: (message) => hearer.onMessage(message),
          onAnswer: (message) => {
            // A server that knows the session no more has done nothing with the request (2025-11-25, session management).
            if (lost && again) this.#renewed(session).then(() => this.#pending.has(pending) && send(false), fail);
            else answer(lost ? sessionLost(pending.id) : message);
          },
        },
        onHead: (status) => {
          lost = status === 404 && session !== undefined;
          return undefined;
        },
        resume: session === undefined ? undefined : (event) => this.#resumption(event),
      });
    };
    const fail = (error: unknown) => answer(failure(pending.id, error as never));
    if (this.#renewing === undefined) send(true);
    else this.#renewing.then(() => this.#pending.has(pending) && send(true), fail);
    return {
      cancel: (reason) => {
        if (!this.#pending.delete(pending)) return;
        current?.cancel();
        const params = { requestId: own.id, ...(reason === undefined ? {} : { reason }) };
        this.#post(JsonRpcMessage.notification('notifications/cancelled', params));
      },
    };
  }

  notify(notification: JsonRpcMessage): void {
    if (notification.method !== 'notifications/initialized') this.#post(notification);
  }

  respond(response: JsonRpcMessage): void {
    this.#post(response);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#listenAgain);
    this.#stream?.abort();
    if (this.#session === undefined) return;
    const { endpoint, limit } = this.#options;
    await new Promise<void>((resolve) => {
      const done = () => resolve();
      const exchange = new Exchange({ onMessage: done, onEnd: done }, limit);
      endpoint.send({ method: 'DELETE', headers: this.#headers({}) }, exchange);
      setTimeout(() => {
        exchange.abort();
        resolve();
      }, 2_000).unref();
    });
  }

  async #initialize(): Promise<void> {
    this.#session = undefined;
    const answer = await this.#ask(JsonRpcMessage.request(this.#nextId(), 'initialize', this.#options.opened));
    const { result } = answer.value;
    if (!isRecord(result)) throw refusalOf(answer, this.#status);
    this.initialized = result;
    this.#post(JsonRpcMessage.notification('notifications/initialized'));
  }

  /** A request of the connection itself. */
  #ask(request: JsonRpcMessage): Promise<JsonRpcMessage> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        pending.cancel();
        const { timeoutMs } = this.#options;
        reject(
          new UpstreamFailedError(`The server elsewhere did not answer ${request.method} within ${timeoutMs} ms.`),
        );
      }, this.#options.timeoutMs);
      const pending = sendRequest({
        endpoint: this.#options.endpoint,
        message: request,
        id: request.id ?? 0,
        headers: this.#headers(namesMethod(request)),
        limit: this.#options.limit,
        credentials: this.#credentials,
        onHead: (status, headers) => {
          this.#status = status;
          return this.#keepSession(headers);
        },
        hearer: {
          onMessage: () => undefined,
          onAnswer: (answer) => {
            clearTimeout(timer);
            resolve(answer);
          },
        },
      });
    });
  }

  #keepSession(headers: IncomingHttpHeaders): undefined {
    const given = headers['mcp-session-id'];
    if (typeof given === 'string') this.#session = given;
  }

  /** A new session in the place of one that the server has forgotten, once for all who find out. */
  async #renewed(lost: string | undefined): Promise<void> {
    if (this.#session === lost) {
      this.#renewing ??= this.#renew().finally(() => {
        this.#renewing = undefined;
      });
    }
    await this.#renewing;
  }

  async #renew(): Promise<void> {
    this.#stream?.abort();
    try {
      await this.#initialize();
      for (const uri of this.#watched)
        await this.#ask(JsonRpcMessage.request(this.#nextId(), 'resources/subscribe', { uri }));
    } catch (error) {
      this.#closed = true;
      throw error;
    }
    this.#listen();
  }

  /** What belongs to no request comes by a stream of its own, where the server has something to tell. */
  #listen(): void {
    const capabilities = asObject(this.initialized['capabilities']);
    const tells = ['tools', 'prompts', 'resources'].some((name) => {
      const { listChanged, subscribe } = asObject(capabilities[name]);
      return listChanged === true || subscribe === true;
    });
    if (!tells || this.#closed || this.#session === undefined) return;
    let taken = false;
    const exchange = new Exchange(
      {
        onHead: (status) => {
          taken = status === 200;
          return undefined;
        },
        onMessage: (message) => this.#heard(message),
        onEnd: () => {
          if (this.#closed || !taken || this.#stream !== exchange) return;
          this.#listenAgain = setTimeout(() => this.#listen(), listenAgainMs);
          this.#listenAgain.unref();
        },
      },
      this.#options.limit,
    );
    this.#stream = exchange;
    this.#options.endpoint.send({ method: 'GET', headers: this.#headers({ accept: 'text/event-stream' }) }, exchange);
  }

  #heard(message: JsonRpcMessage): void {
    if (message.kind === 'notification') this.#options.listener.onMessage(message);
    if (message.kind !== 'request') return;
    // A question beside all streams of calls: when one call waits it can only be about that.
    const [only, ...others] = this.#pending;
    if (only !== undefined && others.length === 0) only.hearer.onMessage(message);
    else if (message.method === 'ping') this.#post(JsonRpcMessage.result(message.id as RequestId, {}));
    else this.#post(JsonRpcMessage.error(message.id ?? null, -32_601, 'There is no client to ask.'));
  }

  #post(message: JsonRpcMessage): void {
    const ignore = { onMessage: () => undefined, onEnd: () => undefined };
    const { endpoint, limit } = this.#options;
    endpoint.send(
      { method: 'POST', headers: this.#headers(namesMethod(message)), body: message.text },
      new Exchange(ignore, limit),
    );
  }

  #resumption(event: string) {
    return { method: 'GET' as const, headers: this.#headers({ accept: 'text/event-stream', 'last-event-id': event }) };
  }

  #headers(more: Record<string, string>): Record<string, string> {
    const revision = this.initialized['protocolVersion'];
    return endpointHeaders(this.#credentials, {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-session-id': this.#session,
      'mcp-protocol-version': typeof revision === 'string' ? revision : undefined,
      ...more,
    });
  }

  #watch({ method, params }: JsonRpcMessage, answer: JsonRpcMessage): void {
    const uri = String(params['uri']);
    if (method === 'resources/subscribe' && isRecord(answer.value['result'])) this.#watched.add(uri);
    else if (method === 'resources/unsubscribe') this.#watched.delete(uri);
  }

  #own(request: JsonRpcMessage): JsonRpcMessage {
    return request.withId(this.#nextId());
  }

  #nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }
}

/** A server of the next era, which may be there meanwhile, wants to see it in the headers too (SEP-2243). */
function namesMethod({ method }: JsonRpcMessage): Record<string, string> {
  return method === undefined ? {} : { 'mcp-method': method };
}

/** Why `initialize` failed: a failure of ours on the way, or what the server said. */
function refusalOf(answer: JsonRpcMessage, status: number): Error {
  const { code, message } = asObject(answer.value['error']);
  return (
    failureIn(answer) ??
    new UpstreamFailedError(`The server elsewhere refused to be initialized: ${String(message).slice(0, 500)}`, {
      data: { rpc_code: code, ...(status >= 400 ? { upstream_status: status } : {}) },
    })
  );
}
