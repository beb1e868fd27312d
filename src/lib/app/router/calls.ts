import type { IncomingHttpHeaders } from 'node:http';
import { traceIdOf } from '../../infra/logging/call-facts.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { type AppError, toAppError, UsageError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import { Cancellation, type Dispatch, type LookOver, type Question, type ToolCall } from '../executor/call.ts';
import { type Executed, ExecutionError, type Executor, refusalOf, requiredScopes } from '../executor/executor.ts';
import { type ErrorAnswer, executionHeader } from './answers.ts';
import { type RetriedCall, type RetryAsking, streamAsker } from './asking.ts';
import type { Breakers } from './breaker.ts';
import { type CallClient, CallUpstream, type HeldAnswer } from './call-upstream.ts';
import type { Exchange } from './exchange.ts';
import { lastEventHeader, type OnBehalf, sessionOf, upstreamHeaders } from './headers.ts';
import { InFlight } from './in-flight.ts';
import { isRecord, type Malformed, type Message, type RequestId } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import { LiveCall } from './live-call.ts';
import type { Passage } from './passage.ts';
import { refuse, shuttingDown } from './refusals.ts';
import type { EventHandle, Resumptions } from './resumptions.ts';
import { messageEvent } from './sse.ts';
import { type TaskHandles, withTaskId } from './task-handle.ts';
import type { RequestFor, Upstream, Upstreams } from './upstreams.ts';

type CallMessage = Message & { readonly kind: 'call' };

export interface CallsDeps {
  readonly executor: Executor;
  readonly retryAsking: RetryAsking;
  readonly upstreams: Upstreams;
  readonly passage: Passage;
  readonly keepAlive: KeepAlive;
  readonly breakers: Breakers;
  readonly resumptions: Resumptions;
  readonly taskHandles: TaskHandles;
  readonly log: Logger;
  /** Hears of a server that says that its list of tools changed. */
  readonly onListChanged?: ((server: string, user: string) => void) | undefined;
  /** Largest answer, in bytes. */
  readonly answerBytes: number;
}

/** The tools/call requests: each goes through the executor, and its answer leaves when the executor says so. */
export class Calls {
  readonly #deps: CallsDeps;
  readonly #inFlight = new InFlight();
  #closing = false;

  constructor(deps: CallsDeps) {
    this.#deps = deps;
  }

  async handle(exchange: Exchange, message: CallMessage, body: Buffer): Promise<void> {
    const { req, route, claims, via } = exchange;
    const cancellation = new Cancellation();
    const key = { server: via?.server ?? route.config.name, sid: claims.sid, session: sessionOf(req), id: message.id };
    const remove = this.#inFlight.add(key, cancellation);
    const live = new LiveCall(exchange, {
      cancellation,
      give: (to, answer, executionId) => this.#give(to, answer, executionId),
      clientOf: (to) => this.#clientOf(to),
    });
    try {
      const call = toolCall(exchange, message.tool, message.input, cancellation);
      const { answer, executionId } = await this.#execute(live, call, message.id, body);
      live.answered(answer.task === undefined ? answer : this.#named(call, answer, executionId), executionId);
    } catch (thrown) {
      live.over();
      this.#giveError(live.exchange, message.id, thrown);
    } finally {
      remove();
    }
  }

  /** Lets a client have what it missed of a call whose stream it lost. Settles when the exchange is over. */
  async resume(exchange: Exchange, handle: EventHandle): Promise<void> {
    const { config } = exchange.route;
    const refusal = refusalOf({ server: config, claims: exchange.claims }, requiredScopes(config, undefined));
    if (refusal !== undefined) return refuse(exchange, { error: refusal });
    const whose = { user: exchange.claims.sub, server: config.name, session: sessionOf(exchange.req) ?? '' };
    const going = this.#deps.resumptions.find(handle, whose)?.attach(exchange, handle.number) ?? false;
    if (going === false) {
      const error = new UsageError('There is nothing more of this stream.', {
        hint: 'Its call is over: see the audit.',
      });
      return refuse(exchange, { error });
    }
    await going;
  }

  /** An attempt at a call is recorded, whatever is wrong with its message. */
  async malformed(exchange: Exchange, message: Malformed): Promise<void> {
    const error = new UsageError(message.message);
    const call = toolCall(exchange, message.tool ?? '', {}, new Cancellation());
    try {
      await this.#deps.executor.reject(call, error, 'refused');
    } catch (thrown) {
      const protocol = thrown instanceof ExecutionError && thrown.error === error;
      if (!protocol) this.#giveError(exchange, message.id, thrown);
      else refuse(exchange, { ...malformedAnswer(message), executionId: thrown.executionId });
    }
  }

  /** A call that is well formed and will not be made: the attempt is recorded first. */
  async refused(exchange: Exchange, message: CallMessage, error: AppError): Promise<void> {
    const call = toolCall(exchange, message.tool, message.input, new Cancellation());
    try {
      await this.#deps.executor.reject(call, error, 'refused');
    } catch (thrown) {
      this.#giveError(exchange, message.id, thrown);
    }
  }

  /** A body that was too large or never ended may have been a call: the attempt is recorded before it is refused. */
  async unread(exchange: Exchange, refusal: ErrorAnswer): Promise<void> {
    const call = toolCall(exchange, '', {}, new Cancellation());
    try {
      await this.#deps.executor.reject(call, refusal.error, 'refused');
    } catch (thrown) {
      const recorded = thrown instanceof ExecutionError && thrown.error === refusal.error;
      if (recorded) refuse(exchange, { ...refusal, executionId: thrown.executionId });
      else this.#giveError(exchange, null, thrown);
    }
  }

  /** Takes back the call that a `notifications/cancelled` means. */
  cancel({ req, route, claims }: Exchange, id: RequestId): void {
    this.#inFlight.cancel({ server: route.config.name, sid: claims.sid, session: sessionOf(req), id });
  }

  /** Lets running calls come to their end for `graceMs`, then breaks them off. */
  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    await this.#inFlight.drained(graceMs);
    this.#inFlight.cancelAll();
    await this.#inFlight.drained(1_000);
  }

  async #execute(live: LiveCall, call: ToolCall, id: RequestId, body: Buffer): Promise<Executed<HeldAnswer>> {
    const { executor, upstreams, passage, answerBytes } = this.#deps;
    const { exchange } = live;
    let on: OnBehalf;
    try {
      if (this.#closing) throw shuttingDown();
      on = await passage.onBehalf(exchange, upstreams.to(call.server.name));
    } catch (thrown) {
      const error = toAppError(thrown);
      const refused = error.code === 'NOT_FOUND' || error.code === 'FORBIDDEN';
      return executor.reject(call, error, refused ? 'refused' : 'failed');
    }
    const asked = executor.asks ? this.#askedWay(exchange, on, body) : undefined;
    const original = asked?.body ?? body;
    const dispatch: Dispatch<HeldAnswer> = (executionId, rewritten, approved = false, look?) => {
      if (rewritten !== undefined && mirrorsArguments(exchange.req)) throw mirrored();
      // A number beyond what a double holds is one text for the server, and another for those who looked at the call.
      const input = rewritten ?? (approved ? call : undefined);
      const sent = input === undefined ? original : withArguments(original, input.input);
      const events = this.#resumable(live, on);
      const running = new CallUpstream(id, this.#clientOf(exchange), answerBytes, events?.idOf, both(look, on.naming));
      const request: RequestFor = (upstream) => {
        running.from = upstream;
        const headers = upstreamHeaders(exchange.req, upstream, on, executionId);
        return { path: '/mcp', method: 'POST', headers, body: sent };
      };
      const reopen = (eventId: string) => {
        const again: RequestFor = (upstream) => {
          const headers = upstreamHeaders(live.exchange.req, upstream, on, executionId);
          return { path: '/mcp', method: 'GET', headers: [...headers, lastEventHeader, eventId], body: null };
        };
        upstreams.send(call.server.name, again, running.leg());
      };
      live.started({ upstream: running, reopen });
      upstreams.send(call.server.name, request, running.leg());
      this.#watch(call, on, running);
      const release = () => events?.release();
      running.answer.then(release, release);
      return running;
    };
    const { asker, required } = asked ?? {};
    try {
      return await executor.execute(asker === undefined ? call : { ...call, asker }, dispatch, withPayload);
    } catch (thrown) {
      const question = thrown instanceof ExecutionError ? thrown.error.data['question'] : undefined;
      if (required === undefined || question === undefined) throw thrown;
      // biome-ignore lint/style/useErrorCause: it takes the error that it carries for its cause
      throw new QuestionError(required(question as Question, id), thrown as ExecutionError);
    }
  }

  /** How the person behind the call can be asked whether it may be made, if they can. */
  #askedWay(exchange: Exchange, { session }: OnBehalf, body: Buffer): Partial<RetriedCall> | undefined {
    const { route, claims, res, virtualSession } = exchange;
    // Who acts for somebody else does not answer for them.
    if (claims.act !== undefined) return undefined;
    if ((virtualSession ?? session)?.elicits !== true)
      return this.#deps.retryAsking.of(route.config.name, claims, body);
    const begin = () => this.#beginStream(exchange, undefined, {});
    return { asker: streamAsker({ res, keepAlive: this.#deps.keepAlive, begin }) };
  }

  #clientOf(exchange: Exchange): CallClient {
    const { keepAlive, onListChanged } = this.#deps;
    return {
      res: exchange.res,
      keepAlive,
      onListChanged: onListChanged && (() => onListChanged(exchange.route.config.name, exchange.claims.sub)),
      beginStream: (received, from) => this.#beginStream(exchange, from, received),
    };
  }

  /** The call's stream can be taken up again, where there is a session that it belongs to. */
  #resumable(live: LiveCall, { session }: OnBehalf): ReturnType<Resumptions['add']> | undefined {
    const { claims, route, transport, via } = live.exchange;
    if (session === undefined || transport === 'sse' || via !== undefined) return undefined;
    return this.#deps.resumptions.add({
      user: claims.sub,
      server: route.config.name,
      session: session.bound,
      attach: (exchange, after) => live.attach(exchange, after),
    });
  }

  /** What an answer says of the server, and of the session. */
  #watch({ server }: ToolCall, { session }: OnBehalf, { answer }: CallUpstream): void {
    const { breakers, passage } = this.#deps;
    answer.then(
      ({ httpStatus }) => {
        breakers.record(server);
        if (httpStatus === 404 && session !== undefined) passage.sessions.over(session, 'lost');
      },
      (error: unknown) => breakers.record(server, error),
    );
  }

  /** A task under the id that its client knows it by. */
  #named({ server, tool, claims, via }: ToolCall, answer: HeldAnswer, of: ExecutionId): HeldAnswer {
    const id = answer.task?.id ?? '';
    const handle = this.#deps.taskHandles.seal({ id, of, server: server.name, tool, via }, claims);
    return withPayload(answer, withTaskId(answer.payload, id, handle));
  }

  #beginStream(exchange: Exchange, answered: Upstream | undefined, received: IncomingHttpHeaders): void {
    const { res } = exchange;
    if (res.headersSent) return;
    res.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      ...this.#deps.passage.headers(exchange, answered, received),
    });
  }

  #give(exchange: Exchange, answer: HeldAnswer, executionId: ExecutionId): void {
    const { res } = exchange;
    if (res.destroyed) return;
    if (answer.event !== undefined || res.headersSent) {
      if (!res.headersSent) res.setHeader(executionHeader, executionId);
      this.#beginStream(exchange, answer.from, answer.headers);
      res.end(answer.event ?? messageEvent(answer.payload.toString('utf8')));
      return;
    }
    res.writeHead(answer.httpStatus, {
      'content-type': 'application/json',
      'content-length': answer.payload.length,
      [executionHeader]: executionId,
      ...this.#deps.passage.headers(exchange, answer.from, answer.headers),
    });
    res.end(answer.payload);
  }

  #giveError(exchange: Exchange, id: RequestId | null, thrown: unknown): void {
    const { route, claims, res, headers } = exchange;
    if (thrown instanceof QuestionError) {
      const { body, executionId } = thrown;
      if (res.destroyed) return;
      res.writeHead(200, { ...headers, 'content-type': 'application/json', [executionHeader]: executionId }).end(body);
      return;
    }
    const known = thrown instanceof ExecutionError;
    const error = known ? thrown.error : toAppError(thrown);
    const executionId = known ? thrown.executionId : undefined;
    const facts = { server: route.config.name, user: claims.sub, executionId, code: error.code };
    if (error.code === 'INTERNAL') this.#deps.log.error({ ...facts, err: error }, 'A call failed inside');
    else this.#deps.log.info(facts, 'A call was not answered');
    // A rule's refusal is an answer to the call, for the caller to read; it says nothing about the connection.
    const status = error.data['reason'] === 'policy' || error.data['reason'] === 'approval' ? { status: 200 } : {};
    refuse(exchange, { error, id, executionId, ...status });
  }
}

/** One after the other, where there are any. */
export function both(first: LookOver | undefined, second: LookOver | undefined): LookOver | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return (message) => second(first(message));
}

/** A call is answered with a question, and is made again with what was asked. */
class QuestionError extends Error {
  readonly body: string;
  readonly executionId: ExecutionId;

  constructor(body: string, cause: ExecutionError) {
    super(cause.message, { cause });
    this.name = 'QuestionError';
    this.body = body;
    this.executionId = cause.executionId;
  }
}

/** Whether headers repeat arguments (MCP 2026-07-28, SEP-2243): a server that goes by them would run what was not sent. */
function mirrorsArguments(req: Exchange['req']): boolean {
  return Object.keys(req.headers).some((name) => name.startsWith('mcp-param-'));
}

function mirrored(): UsageError {
  return new UsageError('A rule has changed the arguments, and this call repeats them in its headers.', {
    hint: 'The call was not sent.',
    data: { reason: 'policy' },
  });
}

/** The same call with other arguments. */
function withArguments(body: Buffer, input: unknown): Buffer {
  const message = JSON.parse(body.toString('utf8')) as { params: Record<string, unknown> };
  message.params['arguments'] = input;
  return Buffer.from(JSON.stringify(message));
}

function withPayload(answer: HeldAnswer, payload: Buffer): HeldAnswer {
  const { event } = answer;
  const { result } = JSON.parse(payload.toString('utf8')) as { result?: { structuredContent?: unknown } };
  const structured = result?.structuredContent;
  return {
    ...answer,
    payload,
    structured: isRecord(structured) ? structured : undefined,
    ...(event && { event: Buffer.from(messageEvent(payload.toString('utf8'))) }),
  };
}

/** The answer to a message that is not valid. */
export function malformedAnswer(message: Malformed) {
  return { error: new UsageError(message.message), id: message.id, code: message.code, status: 400 };
}

export function toolCall(
  { req, route, claims, arrivedAt, via }: Exchange,
  tool: string,
  input: unknown,
  cancellation: Cancellation,
): ToolCall {
  const trace = req.headers['traceparent'];
  const traceId = typeof trace === 'string' ? traceIdOf(trace) : undefined;
  const call = { server: route.config, tool, input, claims, traceId, arrivedAt, cancellation };
  return via === undefined ? call : { ...call, via: via.server };
}
