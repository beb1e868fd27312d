import type { Asker, Backend, Hearer, HttpExchange, PendingRequest } from '../backend.ts';
import { asObject, type Json } from '../eras/json.ts';
import { declaresWrongHeader, type MirroredArgument, mirroredArguments, mirroredHeaders } from '../eras/mirrored.ts';
import { errorCode, metaKey, modernRevision } from '../eras/revisions.ts';
import { JsonRpcMessage, type RequestId } from '../message.ts';
import { type Endpoint, endpointHeaders, traceHeaders } from './endpoint.ts';
import { failureIn } from './failures.ts';
import { isDoubtful, relayExchange } from './relay.ts';
import { sendRequest } from './request.ts';

/** Pages of a list of tools that are read to find out what a tool wants in its headers. */
const mostPages = 20;

export interface ModernBackendOptions {
  readonly endpoint: Endpoint;
  readonly discovered: Json;
  /** Most bytes of one message. */
  readonly limit: number;
  /** The server may have become another. */
  readonly onDoubt: () => void;
}

/** A server elsewhere that speaks 2026-07-28: each request stands alone, and repeats itself in its headers. */
export class ModernBackend implements Backend {
  readonly era = 'modern';
  readonly initialized: Json;
  readonly #options: ModernBackendOptions;
  readonly #mirrored = new Map<string, readonly MirroredArgument[]>();
  #lastId = 0;

  constructor(options: ModernBackendOptions) {
    this.#options = options;
    this.initialized = options.discovered;
  }

  relay(exchange: HttpExchange): Promise<void> {
    return relayExchange(this.#options.endpoint, exchange, this.#options.onDoubt);
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    let current: PendingRequest;
    let cancelled = false;
    const send = (again: boolean) => {
      current = this.#send(request, asker, {
        onMessage: (message) => hearer.onMessage(message),
        onAnswer: (answer) => {
          if (cancelled) return;
          const { code } = asObject(answer.value['error']);
          const doubtful = isDoubtful(failureIn(answer)?.data['upstream_status']);
          if (doubtful || code === errorCode.unsupportedVersion) this.#options.onDoubt();
          // The tool wants arguments repeated in headers that nobody here has heard of; it has done nothing yet.
          const learns = again && code === errorCode.headerMismatch && request.method === 'tools/call';
          if (learns) this.#learn(request, asker, () => cancelled || send(false));
          else hearer.onAnswer(answer);
        },
      });
    };
    send(true);
    return {
      cancel: (reason) => {
        cancelled = true;
        // The end of the exchange is what tells the server (2026-07-28, cancellation).
        current.cancel(reason);
      },
    };
  }

  /** There is nothing that a client of this era would notify a server of. */
  notify(): void {}

  respond(): void {}

  async close(): Promise<void> {}

  #send(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const { endpoint, limit } = this.#options;
    const { method, params } = request;
    const tool = method === 'tools/call' ? this.#mirrored.get(String(params['name'])) : undefined;
    this.#lastId += 1;
    const own = this.#lastId;
    return sendRequest({
      endpoint,
      limit,
      credentials: asker.credentials,
      message: request.withId(own),
      id: request.id ?? 0,
      headers: endpointHeaders(asker.credentials, {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        'mcp-protocol-version': modernRevision,
        ...mirroredHeaders(method, params, tool),
        ...traceHeaders(asker),
      }),
      hearer: {
        onMessage: (message) => hearer.onMessage(renamed(message, own, request.id ?? 0)),
        onAnswer: (answer) => {
          hearer.onAnswer(method === 'tools/list' ? this.#noted(answer) : answer);
        },
      },
    });
  }

  /** Reads the list of tools for what they want in their headers. */
  #learn(call: JsonRpcMessage, asker: Asker, then: () => void, cursor?: string, page = 1): void {
    const params = { _meta: asObject(call.params['_meta']), ...(cursor === undefined ? {} : { cursor }) };
    const list = JsonRpcMessage.request(call.id ?? 0, 'tools/list', params);
    this.#send(list, asker, {
      onMessage: () => undefined,
      onAnswer: (answer) => {
        const { nextCursor } = asObject(answer.value['result']);
        if (typeof nextCursor === 'string' && page < mostPages) this.#learn(call, asker, then, nextCursor, page + 1);
        else then();
      },
    });
  }

  /** Remembers what tools want in their headers. @returns the list without those that declare it wrongly */
  #noted(answer: JsonRpcMessage): JsonRpcMessage {
    const result = asObject(answer.value['result']);
    const { tools } = result;
    for (const tool of Array.isArray(tools) ? tools : []) {
      const { name, inputSchema } = asObject(tool);
      const found = mirroredArguments(inputSchema);
      if (typeof name !== 'string') continue;
      if (found.length === 0) this.#mirrored.delete(name);
      else this.#mirrored.set(name, found);
    }
    if (!Array.isArray(tools)) return answer;
    const usable = tools.filter((tool) => !declaresWrongHeader(asObject(tool)['inputSchema']));
    return usable.length === tools.length
      ? answer
      : JsonRpcMessage.result(answer.id as RequestId, { ...result, tools: usable });
  }
}

/** What comes by a subscription is marked with the id of its request. */
function renamed(message: JsonRpcMessage, own: number, id: RequestId): JsonRpcMessage {
  const meta = asObject(message.params['_meta']);
  if (meta[metaKey.subscriptionId] !== own) return message;
  return message.withParams({ ...message.params, _meta: { ...meta, [metaKey.subscriptionId]: id } });
}
