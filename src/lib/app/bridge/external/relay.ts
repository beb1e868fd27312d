import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { AppError } from '../../../shared/errors.ts';
import { mediaType } from '../../router/headers.ts';
import type { HttpExchange } from '../backend.ts';
import { JsonRpcMessage, type RequestId } from '../message.ts';
import { type Endpoint, endpointHeaders, passedHeaders } from './endpoint.ts';
import { failure, refusedBy, sessionLost, unreached } from './failures.ts';

/**
 * One exchange of a client with a server elsewhere of its own era: the bytes pass as they come in both directions, no
 * faster than whoever reads them. Settles when it is over.
 * @param onDoubt hears that the server took a message for none of its era
 */
export function relayExchange(endpoint: Endpoint, exchange: HttpExchange, onDoubt: () => void): Promise<void> {
  const { req, body, asker } = exchange;
  const method = req.method as 'GET' | 'POST' | 'DELETE';
  const headers = endpointHeaders(asker.credentials, {
    accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
    'content-type': method === 'POST' ? 'application/json' : undefined,
    ...passedHeaders(req.headers),
  });
  return new Promise((resolve) => {
    const passing = new Passing(exchange, onDoubt, resolve);
    exchange.res.once('close', () => passing.abort());
    endpoint.send({ method, headers, body: body ?? null }, passing);
  });
}

class Passing implements Dispatcher.DispatchHandler {
  readonly #exchange: HttpExchange;
  readonly #onDoubt: () => void;
  readonly #done: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;

  constructor(exchange: HttpExchange, onDoubt: () => void, done: () => void) {
    this.#exchange = exchange;
    this.#onDoubt = onDoubt;
    this.#done = done;
  }

  /** The client has left, or has all that it gets. */
  abort(): void {
    if (this.#over) return;
    this.#end();
    this.#controller?.abort(new Error('The client left.'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error('The client left.'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#over) return;
    if (isDoubtful(status) && this.#exchange.req.headers['mcp-session-id'] === undefined) this.#onDoubt();
    if (!passes(status, headers)) {
      this.#refuse(status, headers);
      return;
    }
    const { res } = this.#exchange;
    res.writeHead(status, { 'cache-control': 'no-store', ...answered(headers) });
    res.flushHeaders();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { res } = this.#exchange;
    if (this.#over || res.destroyed) return;
    if (!res.write(chunk)) {
      controller.pause();
      res.once('drain', () => controller.resume());
    }
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#exchange.res.end();
    this.#end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return;
    const { res } = this.#exchange;
    // A body that breaks off must look broken.
    if (res.headersSent) res.destroy();
    else this.#answer(unreached(error));
    this.#end();
  }

  #refuse(status: number, headers: IncomingHttpHeaders): void {
    const { req, res } = this.#exchange;
    const retry = headers['retry-after'];
    if (status === 401 || status === 403) {
      this.#exchange.asker.credentials?.onRefused?.(status, headers['www-authenticate']);
    }
    if (status === 404 && req.headers['mcp-session-id'] !== undefined) {
      // To the client the status is what says that it has to begin anew (MCP 2025-11-25).
      this.#send(404, sessionLost(this.#id()));
    } else if (status === 405 && req.method !== 'POST') {
      res.writeHead(405, { allow: 'POST' }).end();
    } else this.#answer(refusedBy(status, typeof retry === 'string' ? retry : undefined));
    this.abort();
  }

  /** A request gets a JSON-RPC error in its place; what has no answer gets a status. */
  #answer(error: AppError): void {
    const id = this.#id();
    this.#send(id === null ? 502 : 200, failure(id, error));
  }

  #send(status: number, message: JsonRpcMessage): void {
    const { res } = this.#exchange;
    if (res.destroyed) return;
    res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    res.end(message.text);
  }

  #id(): RequestId | null {
    const message = JsonRpcMessage.parse(this.#exchange.body?.toString('utf8') ?? '');
    return message?.kind === 'request' ? (message.id ?? null) : null;
  }

  #end(): void {
    this.#over = true;
    this.#done();
  }
}

/** Statuses with which a server answers what is not of its era (2026-07-28 and 2025-11-25, backwards compatibility). */
export function isDoubtful(status: unknown): boolean {
  return status === 400 || status === 404 || status === 405;
}

/** Whether a response is one of the protocol, from the server itself and for the client. */
function passes(status: number, headers: IncomingHttpHeaders): boolean {
  const type = mediaType(headers);
  if (status === 401 || status === 403 || (status >= 300 && status < 400) || status >= 500) return false;
  if (status === 200)
    return type === 'application/json' || type === 'text/event-stream' || headers['content-length'] === '0';
  return status < 300 || type === 'application/json';
}

/** The headers of the server's that are for the client. */
function answered(headers: IncomingHttpHeaders): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const goes = name.startsWith('mcp-') || ['content-type', 'content-length', 'retry-after', 'allow'].includes(name);
    if (goes && typeof value === 'string') passed[name] = value;
  }
  return passed;
}
