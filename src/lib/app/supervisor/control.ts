import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import {
  AppError,
  ConfigInvalidError,
  NotFoundError,
  TimeoutError,
  TooLargeError,
  UsageError,
} from '../../shared/errors.ts';
import { heartbeat, heartbeatMs, sseMessage } from '../../shared/sse.ts';
import { errorToWire } from '../../shared/wire.ts';
import { machineMs, untilHeader } from './deadline.ts';

/** One operation of the control API: JSON in, checked, JSON out. */
export interface ControlRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Checks the body of a POST and the query of a GET. */
  readonly input: z.ZodType;
  /** @param leftMs how long the caller will wait, in ms, when he has said so */
  handle(input: unknown, leftMs?: number): Promise<unknown>;
}

/** One operation that answers with JSON lines, or server-sent events, until it is done or the caller leaves. */
export interface ControlStream {
  readonly path: string;
  readonly input: z.ZodType;
  stream(input: unknown, signal: AbortSignal): AsyncIterable<unknown>;
  /**
   * How an item is named when the caller accepts `text/event-stream`. His Last-Event-ID is given to the stream as the input
   * `after`.
   */
  readonly sse?: (item: never) => { readonly id: string; readonly event: string };
}

export interface ControlApi {
  readonly routes: readonly ControlRoute[];
  readonly streams: readonly ControlStream[];
  /** Hears of faults: errors that are none of ours. */
  onFault(error: unknown): void;
}

const bodyLimit = 1024 * 1024;
const bodyTimeoutMs = 10_000;

/** The HTTP server of the control socket; who may open the socket may call everything. */
export function createControlServer(api: ControlApi): Server {
  const server = createServer({ requestTimeout: bodyTimeoutMs }, (request, response) => {
    answer(api, request, response).catch((error: unknown) => {
      if (!(error instanceof AppError)) api.onFault(error);
      if (response.headersSent) response.destroy();
      else sendJson(response, statusOf(error), { error: errorToWire(error) });
    });
  });
  // An answer may take as long as a service takes to start.
  server.timeout = 0;
  return server;
}

async function answer(api: ControlApi, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://control');
  const query = queryOf(url.searchParams);
  const stream = request.method === 'GET' ? api.streams.find(({ path }) => path === url.pathname) : undefined;
  if (stream !== undefined) {
    const sse = stream.sse !== undefined && request.headers.accept?.includes('text/event-stream') === true;
    const seen = request.headers['last-event-id'];
    const resumed = sse && typeof seen === 'string' && seen !== '' ? { ...query, after: seen } : query;
    return sendStream(response, stream, checkedInput(stream.input, resumed), sse ? stream.sse : undefined);
  }
  const route = api.routes.find(({ method, path }) => method === request.method && path === url.pathname);
  if (route === undefined) throw new NotFoundError(`The control API has no ${request.method} ${url.pathname}.`);
  const input = route.method === 'GET' ? query : await bodyOf(request);
  const checked = checkedInput(route.input, input);
  const leftMs = route.method === 'GET' ? undefined : await timeLeft(request);
  sendJson(response, 200, (await route.handle(checked, leftMs)) ?? null);
}

/**
 * An order that has waited for us while we hung must not surprise anybody: whoever gave it was told that nobody answers.
 *
 * @returns how long its caller will wait, in ms, when he has said so
 * @throws TimeoutError when it is too late to begin, or the caller has left
 */
async function timeLeft(request: IncomingMessage): Promise<number | undefined> {
  const { [untilHeader]: until } = request.headers;
  const leftMs = typeof until === 'string' && /^\d{1,15}$/.test(until) ? Number(until) - machineMs() : undefined;
  // That he has left is read after what he sent, in a later turn.
  for (let turns = 0; turns < 2; turns += 1) await nextTurn();
  const { destroyed, readableEnded } = request.socket;
  if (!destroyed && !readableEnded && (leftMs === undefined || leftMs > 0)) return leftMs;
  throw new TimeoutError('The order came too late and was not begun', {
    hint: 'Look how things are, and give it again',
    next: ['infra services status'],
    data: { reason: 'not_begun' },
  });
}

/** A name that is given several times has a list for its value. */
function queryOf(params: URLSearchParams): Record<string, string | string[]> {
  const names = [...new Set(params.keys())];
  return Object.fromEntries(
    names.map((name) => {
      const [first = '', ...more] = params.getAll(name);
      return [name, more.length === 0 ? first : [first, ...more]];
    }),
  );
}

/** @throws UsageError naming every finding */
export function checkedInput(schema: z.ZodType, input: unknown): unknown {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw new UsageError(z.prettifyError(result.error));
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > bodyLimit) throw new TooLargeError(`The body is over ${bodyLimit} bytes.`);
  }
  try {
    return text === '' ? {} : (JSON.parse(text) as unknown);
  } catch (cause) {
    throw new UsageError('The body is not JSON.', { cause });
  }
}

async function sendStream(
  response: ServerResponse,
  stream: ControlStream,
  input: unknown,
  sse: ControlStream['sse'],
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const type = sse === undefined ? 'application/x-ndjson' : 'text/event-stream';
  let beat: NodeJS.Timeout | undefined;
  try {
    // An error before the first item is still a proper answer.
    for await (const item of stream.stream(input, gone.signal)) {
      if (gone.signal.aborted) return;
      if (!response.headersSent) {
        response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).flushHeaders();
        if (sse !== undefined) beat = setInterval(() => void response.write(heartbeat), heartbeatMs).unref();
      }
      if (item === undefined) continue; // nothing to say yet but that the stream has begun
      const text = sse === undefined ? `${JSON.stringify(item)}\n` : sseMessage({ ...sse(item as never), data: item });
      if (!response.write(text)) await drained(response, gone.signal);
    }
  } finally {
    clearInterval(beat);
  }
  response.end();
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      gone.removeEventListener('abort', done);
      resolve();
    };
    response.once('drain', done);
    gone.addEventListener('abort', done, { once: true });
  });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** The client goes by the code in the body; the number is for those who look with curl. */
function statusOf(error: unknown): number {
  if (!(error instanceof AppError)) return 500;
  if (error instanceof NotFoundError) return 404;
  if (error instanceof TooLargeError) return 413;
  if (error instanceof UsageError || error instanceof ConfigInvalidError) return 400;
  switch (error.code) {
    case 'UNAUTHENTICATED':
      return 401;
    case 'FORBIDDEN':
      return 403;
    case 'CONFLICT':
    case 'PRECONDITION':
    case 'PORT_TAKEN':
      return 409;
    case 'DATABASE_UNAVAILABLE':
      return 503;
    default:
      return 500;
  }
}
