import type { IncomingHttpHeaders } from 'node:http';
import type { Logger } from '../../infra/logging/logger.ts';
import { type AppError, toAppError, UsageError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import { Cancellation, type ToolCall } from '../executor/call.ts';
import { type Executed, ExecutionError, type Executor } from '../executor/executor.ts';
import { type ErrorAnswer, executionHeader } from './answers.ts';
import type { Breakers } from './breaker.ts';
import { type CallClient, CallUpstream, type HeldAnswer } from './call-upstream.ts';
import type { Exchange } from './exchange.ts';
import { type OnBehalf, sessionOf, upstreamHeaders } from './headers.ts';
import { InFlight } from './in-flight.ts';
import type { Malformed, Message, RequestId } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import type { Passage } from './passage.ts';
import { refuse, shuttingDown } from './refusals.ts';
import type { RequestFor, Upstream, Upstreams } from './upstreams.ts';

type CallMessage = Message & { readonly kind: 'call' };

export interface CallsDeps {
  readonly executor: Executor;
  readonly upstreams: Upstreams;
  readonly passage: Passage;
  readonly keepAlive: KeepAlive;
  readonly breakers: Breakers;
  readonly log: Logger;
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
    const { req, res, route, claims } = exchange;
    const cancellation = new Cancellation();
    const key = { server: route.config.name, sid: claims.sid, session: sessionOf(req), id: message.id };
    const remove = this.#inFlight.add(key, cancellation);
    const onClose = () => cancellation.cancel();
    res.once('close', onClose);
    try {
      const call = toolCall(exchange, message.tool, message.input, cancellation);
      const { answer, executionId } = await this.#execute(exchange, call, message.id, body);
      res.off('close', onClose);
      this.#give(exchange, answer, executionId);
    } catch (thrown) {
      this.#giveError(exchange, message.id, thrown);
    } finally {
      remove();
    }
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

  async #execute(exchange: Exchange, call: ToolCall, id: RequestId, body: Buffer): Promise<Executed<HeldAnswer>> {
    const { executor, upstreams, passage, answerBytes } = this.#deps;
    let on: OnBehalf;
    try {
      if (this.#closing) throw shuttingDown();
      on = await passage.onBehalf(exchange, upstreams.to(call.server.name));
    } catch (thrown) {
      const error = toAppError(thrown);
      return executor.reject(call, error, error.code === 'NOT_FOUND' ? 'refused' : 'failed');
    }
    const client: CallClient = {
      res: exchange.res,
      keepAlive: this.#deps.keepAlive,
      beginStream: (received, from) => this.#beginStream(exchange, from, received),
    };
    return executor.execute(call, (executionId) => {
      const running = new CallUpstream(id, client, answerBytes);
      const request: RequestFor = (upstream) => {
        running.from = upstream;
        const headers = upstreamHeaders(exchange.req, upstream, on, executionId);
        return { path: '/mcp', method: 'POST', headers, body };
      };
      upstreams.send(call.server.name, request, running);
      this.#watch(call, on, running);
      return running;
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
    if (answer.event !== undefined) {
      if (!res.headersSent) res.setHeader(executionHeader, executionId);
      this.#beginStream(exchange, answer.from, answer.headers);
      res.end(answer.event);
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
    const { route, claims } = exchange;
    const known = thrown instanceof ExecutionError;
    const error = known ? thrown.error : toAppError(thrown);
    const executionId = known ? thrown.executionId : undefined;
    const facts = { server: route.config.name, user: claims.sub, executionId, code: error.code };
    if (error.code === 'INTERNAL') this.#deps.log.error({ ...facts, err: error }, 'A call failed inside');
    else this.#deps.log.info(facts, 'A call was not answered');
    refuse(exchange, { error, id, executionId });
  }
}

/** The answer to a message that is not valid. */
export function malformedAnswer(message: Malformed) {
  return { error: new UsageError(message.message), id: message.id, code: message.code, status: 400 };
}

function toolCall(
  { route, claims, arrivedAt }: Exchange,
  tool: string,
  input: unknown,
  cancellation: Cancellation,
): ToolCall {
  return { server: route.config, tool, input, claims, arrivedAt, cancellation };
}
