import type { IncomingHttpHeaders } from 'node:http';
import type { Catalogue } from '../../domain/mcp/index.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import {
  type AppError,
  CancelledError,
  ForbiddenError,
  TimeoutError,
  toAppError,
  UsageError,
} from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import type { Era } from '../bridge/backend.ts';
import { errorCode, metaKey } from '../bridge/eras/revisions.ts';
import { Cancellation, type ToolCall } from '../executor/call.ts';
import { ExecutionError, type Executor, refusalOf, requiredScopes } from '../executor/executor.ts';
import { type ErrorAnswer, executionHeader } from './answers.ts';
import type { Breakers } from './breaker.ts';
import { CallUpstream, type HeldAnswer } from './call-upstream.ts';
import { both, toolCall } from './calls.ts';
import type { Exchange, Route } from './exchange.ts';
import { type OnBehalf, upstreamHeaders } from './headers.ts';
import { isRecord, type RequestId } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import type { ToolDenied } from './lists.ts';
import type { Passage } from './passage.ts';
import { refuse, shuttingDown } from './refusals.ts';
import type { ServerLimits } from './server-limits.ts';
import { messageEvent } from './sse.ts';
import { type TaskHandles, type TaskPlace, withTaskId } from './task-handle.ts';
import type { Upstream, Upstreams } from './upstreams.ts';
import { judgeAnswer } from './verdict.ts';

export interface TasksDeps {
  readonly executor: Pick<Executor, 'collect' | 'looksOver'>;
  readonly handles: TaskHandles;
  /** All servers, by name. */
  readonly routes: ReadonlyMap<string, Route>;
  readonly upstreams: Upstreams;
  readonly passage: Passage;
  readonly keepAlive: KeepAlive;
  readonly breakers: Breakers;
  readonly serverLimits: Pick<ServerLimits, 'refusal'>;
  readonly catalogue?: Catalogue | undefined;
  readonly denied?: ToolDenied | undefined;
  readonly log: Logger;
  /** How long a server may take for what is no result, in ms. */
  readonly timeoutMs: number;
  /** Largest answer, in bytes. */
  readonly answerBytes: number;
}

/** How long a client may wait for a result that is still to come, in ms: it can ask again. */
const resultWaitMs = 10 * 60_000;

/** What is asked of a task: 2025-11-25 (experimental), and the extension of 2026-07-28. */
const methods = {
  legacy: new Set(['tasks/get', 'tasks/result', 'tasks/cancel']) as ReadonlySet<string>,
  modern: new Set(['tasks/get', 'tasks/update', 'tasks/cancel']) as ReadonlySet<string>,
} as const;

type Json = Readonly<Record<string, unknown>>;

/** One request about a task that is the caller's. */
interface Asked {
  readonly exchange: Exchange;
  readonly id: RequestId;
  readonly method: string;
  readonly place: TaskPlace;
  readonly call: ToolCall;
  /** As the client has it. */
  readonly handle: string;
  readonly body: Buffer;
}

/** Whether a method is about tasks: none of those reaches a server but by here. */
export function isAboutTasks(method: string): boolean {
  return method.startsWith('tasks/');
}

/**
 * The requests about tasks, which tools/call may begin instead of answering. Only who began one may ask for it; what the
 * tool came to is looked at by rules and hooks and recorded before it is given, whichever request brings it.
 */
export class Tasks {
  readonly #deps: TasksDeps;
  readonly #open = new Set<CallUpstream>();
  #closing = false;

  constructor(deps: TasksDeps) {
    this.#deps = deps;
  }

  /** Settles when the exchange is over. */
  async handle(exchange: Exchange, method: string, id: RequestId, body: Buffer): Promise<void> {
    const params = paramsOf(body);
    const { route, claims } = exchange;
    const meta = params['_meta'];
    const era = isRecord(meta) && meta[metaKey.protocolVersion] !== undefined ? 'modern' : 'legacy';
    if (!methods[era].has(method)) return refuse(exchange, unknownMethod(method, id, era));
    const handle = params['taskId'];
    const place = this.#deps.handles.open(handle, claims);
    const target = place && this.#deps.routes.get(place.server);
    const spokenTo = place?.via ?? place?.server;
    if (place === undefined || target === undefined || spokenTo !== route.config.name) {
      return refuse(exchange, unknownTask(id));
    }
    const onward = place.via === undefined ? exchange : throughVirtual(exchange, target, place);
    const call = toolCall(onward, place.tool, {}, new Cancellation());
    await this.#ask({ exchange: onward, id, method, place, call, handle: handle as string, body });
  }

  close(): void {
    this.#closing = true;
    for (const running of this.#open) running.abort(shuttingDown());
  }

  async #ask(asked: Asked): Promise<void> {
    const { exchange, id, method, place, handle } = asked;
    const { res } = exchange;
    try {
      const answer = await this.#send(asked, await this.#admit(asked));
      if (res.destroyed) return;
      const { payload, executionId } = await this.#mayBeGiven(asked, answer);
      this.#give(exchange, answer, withTaskId(payload, place.id, handle), executionId);
    } catch (thrown) {
      const known = thrown instanceof ExecutionError;
      const error = known ? thrown.error : toAppError(thrown);
      if (error.code === 'INTERNAL') this.#deps.log.error({ err: error, method }, 'A task could not be asked for');
      const status = error.data['reason'] === 'policy' ? { status: 200 } : {};
      refuse(exchange, { error, id, executionId: known ? thrown.executionId : undefined, ...status });
    }
  }

  /** @throws what speaks against the request: what would speak against the call, but for its quotas and approvals */
  async #admit({ exchange, method, place }: Asked): Promise<OnBehalf> {
    const { upstreams, passage, breakers, serverLimits, catalogue, denied } = this.#deps;
    const { claims, route } = exchange;
    const { config } = route;
    const refusal = refusalOf({ server: config, claims }, requiredScopes(config, place.tool));
    if (refusal !== undefined) throw refusal;
    // Whoever began what is not permitted any more may still end it.
    await catalogue?.ready(config.name, claims.sub);
    const held = method === 'tasks/cancel' ? undefined : catalogue?.refusalOf(config.name, place.tool, claims.sub);
    if (held !== undefined) throw held;
    if (method !== 'tasks/cancel' && denied?.({ claims, route }, place.tool) === true) {
      throw new ForbiddenError('A rule denies this tool', { data: { reason: 'policy' } });
    }
    if (this.#closing) throw shuttingDown();
    const limited = serverLimits.refusal(config, claims);
    const refused = (limited instanceof Promise ? await limited : limited) ?? breakers.refusal(config);
    if (refused !== undefined) throw refused;
    const on = await passage.onBehalf(exchange, upstreams.to(config.name));
    return { ...on, tool: place.id };
  }

  async #send({ exchange, id, method, place, call, body }: Asked, on: OnBehalf): Promise<HeldAnswer> {
    const { upstreams, breakers, executor, keepAlive, passage, answerBytes, timeoutMs } = this.#deps;
    const { req, res, route } = exchange;
    const beginStream = (received: IncomingHttpHeaders, from: Upstream | undefined) => {
      if (!res.headersSent) res.writeHead(200, streamHeaders(passage.headers(exchange, from, received)));
    };
    const running = new CallUpstream(
      id,
      { res, keepAlive, beginStream },
      answerBytes,
      undefined,
      both(executor.looksOver(call), on.naming),
    );
    const ms = method === 'tasks/result' ? Math.max(resultWaitMs, timeoutMs) : timeoutMs;
    const timer = setTimeout(
      () => running.abort(new TimeoutError(`The server did not answer within ${ms} ms.`)),
      ms,
    ).unref();
    const onClose = () => running.abort(new CancelledError('The client left.'));
    res.once('close', onClose);
    this.#open.add(running);
    try {
      const sent = withParams(body, { taskId: place.id });
      upstreams.send(
        route.config.name,
        (upstream) => {
          running.from = upstream;
          return { path: '/mcp', method: 'POST', headers: upstreamHeaders(req, upstream, on), body: sent };
        },
        running,
      );
      const answer = await running.answer;
      breakers.record(route.config);
      if (answer.httpStatus === 404 && on.session !== undefined) passage.sessions.over(on.session, 'lost');
      return answer;
    } catch (error) {
      breakers.record(route.config, error);
      throw error;
    } finally {
      clearTimeout(timer);
      res.off('close', onClose);
      this.#open.delete(running);
    }
  }

  /** The answer as rules and hooks let it pass, and the rows that say that a result was given. @throws ExecutionError */
  async #mayBeGiven(
    { method, call, place }: Asked,
    { payload }: HeldAnswer,
  ): Promise<{ readonly payload: Buffer; readonly executionId?: ExecutionId }> {
    const text = payload.toString('utf8');
    const message = JSON.parse(text) as { readonly id: RequestId; readonly result?: unknown; readonly error?: unknown };
    const { executor } = this.#deps;
    const outcome = method === 'tasks/result' ? message : inlineOf(message.result);
    if (outcome === undefined) {
      const passing = executor.looksOver(call)?.(text) ?? text;
      return { payload: passing === text ? payload : Buffer.from(passing) };
    }
    const whole = outcome === message;
    const { status, error, structured } = judgeAnswer(outcome.result, outcome.error);
    const failure = error === undefined ? {} : { error };
    const alone = { jsonrpc: '2.0', id: message.id, ...outcome };
    const collected = { of: place.of, status, ...failure, structured, payload: Buffer.from(JSON.stringify(alone)) };
    const { answer, executionId } = await executor.collect(call, whole ? { ...collected, payload } : collected);
    if (whole) return { payload: answer.payload, executionId };
    const { result, error: failed } = JSON.parse(answer.payload.toString('utf8')) as Json;
    const given = { ...(message.result as Json), ...(failed === undefined ? { result } : { error: failed }) };
    // What else stands in the state is the server's word, too.
    const state = JSON.stringify({ ...message, result: given });
    return { payload: Buffer.from(executor.looksOver(call)?.(state) ?? state), executionId };
  }

  #give(exchange: Exchange, answer: HeldAnswer, payload: Buffer, executionId: ExecutionId | undefined): void {
    const { res } = exchange;
    const { passage } = this.#deps;
    const recorded = executionId === undefined ? {} : { [executionHeader]: executionId };
    const headers = { ...recorded, ...passage.headers(exchange, answer.from, answer.headers) };
    if (answer.event !== undefined || res.headersSent) {
      if (!res.headersSent) res.writeHead(200, streamHeaders(headers));
      res.end(messageEvent(payload.toString('utf8')));
      return;
    }
    res.writeHead(answer.httpStatus, {
      'content-type': 'application/json',
      'content-length': payload.length,
      'cache-control': 'no-store',
      ...headers,
    });
    res.end(payload);
  }
}

/**
 * A `subscriptions/listen` without the tasks that it wants to hear of: results would come by it as well (2026-07-28,
 * extension for tasks). A server says which part of a wish it grants; who is told of none asks with `tasks/get`.
 */
export function withoutTaskWishes(body: Buffer): Buffer {
  // Read, not searched: JSON may write a name with escapes.
  const { notifications } = paramsOf(body);
  if (!isRecord(notifications) || !('taskIds' in notifications)) return body;
  const { taskIds: _, ...wished } = notifications;
  return withParams(body, { notifications: wished });
}

/** What a tool came to, where a task's state holds it (2026-07-28). */
function inlineOf(state: unknown): { readonly result?: Json; readonly error?: unknown } | undefined {
  if (!isRecord(state)) return undefined;
  if (isRecord(state['result'])) return { result: state['result'] };
  return isRecord(state['error']) ? { error: state['error'] } : undefined;
}

function throughVirtual(exchange: Exchange, target: Route, { tool, via }: TaskPlace): Exchange {
  const route = { config: target.config, resource: exchange.route.resource };
  return { ...exchange, route, via: { server: via ?? '', tool } };
}

function paramsOf(body: Buffer): Json {
  const message: unknown = JSON.parse(body.toString('utf8'));
  return isRecord(message) && isRecord(message['params']) ? message['params'] : {};
}

function withParams(body: Buffer, params: Json): Buffer {
  const message = JSON.parse(body.toString('utf8')) as Json;
  const own = isRecord(message['params']) ? message['params'] : {};
  return Buffer.from(JSON.stringify({ ...message, params: { ...own, ...params } }));
}

function streamHeaders(headers: Readonly<Record<string, string>>) {
  return { 'content-type': 'text/event-stream', 'cache-control': 'no-store', ...headers };
}

function unknownTask(id: RequestId): ErrorAnswer {
  const error: AppError = new UsageError('There is no such task', {
    hint: 'A task is known to the user and the client that began it, at the server where they did.',
  });
  return { error, id, code: errorCode.invalidParams, status: 200 };
}

function unknownMethod(method: string, id: RequestId, era: Era): ErrorAnswer {
  const error: AppError = new UsageError(`${method.slice(0, 100)} is not offered here`, {
    hint: 'A server does not say whose its tasks are: ask for each by the id that tools/call gave.',
  });
  return { error, id, code: errorCode.methodNotFound, status: era === 'modern' ? 404 : 200 };
}
