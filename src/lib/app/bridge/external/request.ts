import type { IncomingHttpHeaders } from 'node:http';
import { type AppError, UpstreamFailedError } from '../../../shared/errors.ts';
import type { Hearer, PendingRequest, UpstreamCredentials } from '../backend.ts';
import type { JsonRpcMessage, RequestId } from '../message.ts';
import type { Endpoint, EndpointRequest } from './endpoint.ts';
import { Exchange } from './exchange.ts';
import { failure } from './failures.ts';

/** One JSON-RPC request at a server elsewhere. */
export interface RemoteRequest {
  readonly endpoint: Endpoint;
  /** Under the id that the server gets. */
  readonly message: JsonRpcMessage;
  /** The id that its answer goes back under. */
  readonly id: RequestId;
  readonly headers: Readonly<Record<string, string>>;
  readonly limit: number;
  readonly credentials: UpstreamCredentials | undefined;
  readonly hearer: Hearer;
  /** @returns an error that stands for the response, or nothing to read it */
  readonly onHead?: (status: number, headers: IncomingHttpHeaders) => AppError | undefined;
  /** Where a stream that broke can be taken up again, after an event. */
  readonly resume?: ((lastEvent: string) => EndpointRequest) | undefined;
}

/** A stream that broke is taken up so often without news, after so long each time, in ms. */
const resumptions = 3;
const resumeAfterMs = 1_000;

/** Sends a request and reads what comes of it, the answer last. Never throws: a failure is an answer. */
export function sendRequest(request: RemoteRequest): PendingRequest {
  const { endpoint, hearer, id, limit } = request;
  let current: Exchange | undefined;
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  let lastEvent: string | undefined;
  let tries = 0;
  const answer = (message: JsonRpcMessage) => {
    if (over) return;
    over = true;
    hearer.onAnswer(message);
  };
  const again = () => {
    if (lastEvent !== undefined && request.resume !== undefined) run(request.resume(lastEvent), false);
  };
  const ended = (error: AppError | undefined, stream: boolean) => {
    if (over) return;
    const resumable = stream && lastEvent !== undefined && request.resume !== undefined && tries < resumptions;
    if (!resumable) return answer(failure(id, error ?? unanswered()));
    tries += 1;
    timer = setTimeout(again, resumeAfterMs);
  };
  const run = (sent: EndpointRequest, first: boolean) => {
    const exchange = new Exchange(
      {
        onHead: (status, headers) => {
          if (status === 401 || status === 403) request.credentials?.onRefused?.(status, headers['www-authenticate']);
          return first ? request.onHead?.(status, headers) : undefined;
        },
        onEventId: (event) => {
          lastEvent = event;
        },
        onMessage: (message) => {
          if (over) return;
          tries = 0;
          if (message.kind !== 'response') hearer.onMessage(message);
          // A server that could not read the request answers under no id.
          else if (message.id === request.message.id || message.id === null || message.id === undefined) {
            answer(message.withId(id));
            exchange.abort();
          }
        },
        onEnd: ended,
      },
      limit,
    );
    current = exchange;
    endpoint.send(sent, exchange);
  };
  run({ method: 'POST', headers: request.headers, body: request.message.text }, true);
  return {
    cancel: () => {
      over = true;
      clearTimeout(timer);
      current?.abort();
    },
  };
}

function unanswered(): AppError {
  return new UpstreamFailedError('The server elsewhere ended its response without an answer.');
}
