import type { IncomingHttpHeaders } from 'node:http';
import type { Catalogue, RawTool } from '../../domain/mcp/index.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { CancelledError, ForbiddenError, TimeoutError, toAppError } from '../../shared/errors.ts';
import { refusalOf, requiredScopes } from '../executor/executor.ts';
import type { Breakers } from './breaker.ts';
import { type CallClient, CallUpstream, type HeldAnswer } from './call-upstream.ts';
import type { Exchange } from './exchange.ts';
import { type OnBehalf, upstreamHeaders } from './headers.ts';
import type { RequestId } from './jsonrpc.ts';
import type { KeepAlive } from './keep-alive.ts';
import { readToolsAnswer, withData, withTools } from './list-filter.ts';
import type { Passage } from './passage.ts';
import { refuse, shuttingDown } from './refusals.ts';
import type { ServerLimits } from './server-limits.ts';
import type { Upstream, Upstreams } from './upstreams.ts';

/** Whether a caller may call a tool, as far as that can be said without its arguments. */
export type ToolDenied = (exchange: Pick<Exchange, 'claims' | 'route'>, tool: string) => boolean;

export interface ListsDeps {
  readonly upstreams: Upstreams;
  readonly passage: Passage;
  readonly keepAlive: KeepAlive;
  readonly breakers: Breakers;
  readonly serverLimits: Pick<ServerLimits, 'refusal'>;
  readonly log: Logger;
  /** How long a server may take, in ms. */
  readonly timeoutMs: number;
  /** Largest answer, in bytes. */
  readonly answerBytes: number;
  readonly catalogue?: Catalogue | undefined;
  /** Rules that deny a tool whatever its arguments are. */
  readonly denied?: ToolDenied | undefined;
  /** Hears of a server whose list is not the one on record. */
  readonly onDifference?: ((server: string, user: string) => void) | undefined;
}

/** The tools/list requests: of a server's answer a caller gets to see what that caller may call. */
export class Lists {
  readonly #deps: ListsDeps;
  readonly #open = new Set<CallUpstream>();
  #closing = false;

  constructor(deps: ListsDeps) {
    this.#deps = deps;
  }

  /** Settles when the exchange is over. */
  async handle(exchange: Exchange, body: Buffer, id: RequestId): Promise<void> {
    const { res } = exchange;
    let answer: HeldAnswer;
    try {
      answer = await this.#ask(exchange, body, id);
      if (res.destroyed) return;
      const { catalogue } = this.#deps;
      await catalogue?.ready(exchange.route.config.name, exchange.claims.sub);
      const text = this.#filtered(exchange, answer, !body.includes('"cursor"'));
      const payload = text === undefined ? answer.payload : Buffer.from(text);
      if (answer.event !== undefined) {
        this.#beginStream(exchange, answer.from, answer.headers);
        res.end(text === undefined ? answer.event : withData(answer.event, text));
        return;
      }
      res.writeHead(answer.httpStatus, {
        'content-type': 'application/json',
        'content-length': payload.length,
        'cache-control': 'no-store',
        ...this.#deps.passage.headers(exchange, answer.from, answer.headers),
      });
      res.end(payload);
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'INTERNAL') this.#deps.log.error({ err: thrown }, 'A list of tools failed inside');
      refuse(exchange, { error, id });
    }
  }

  close(): void {
    this.#closing = true;
    for (const running of this.#open) running.abort(shuttingDown());
  }

  async #ask(exchange: Exchange, body: Buffer, id: RequestId): Promise<HeldAnswer> {
    const { upstreams, passage, breakers, timeoutMs, answerBytes } = this.#deps;
    const { req, res, route } = exchange;
    const { config } = route;
    const on = await this.#admit(exchange);
    const running = new CallUpstream(id, this.#client(exchange), answerBytes);
    const timer = setTimeout(
      () => running.abort(new TimeoutError(`The server did not answer within ${timeoutMs} ms.`)),
      timeoutMs,
    );
    const onClose = () => running.abort(new CancelledError('The client left.'));
    res.once('close', onClose);
    this.#open.add(running);
    try {
      upstreams.send(
        config.name,
        (upstream) => {
          running.from = upstream;
          return { path: '/mcp', method: 'POST', headers: upstreamHeaders(req, upstream, on), body };
        },
        running,
      );
      const answer = await running.answer;
      breakers.record(config);
      if (answer.httpStatus === 404 && on.session !== undefined) passage.sessions.over(on.session, 'lost');
      return answer;
    } catch (error) {
      breakers.record(config, error);
      throw error;
    } finally {
      clearTimeout(timer);
      res.off('close', onClose);
      this.#open.delete(running);
    }
  }

  /** @throws what speaks against the request */
  async #admit(exchange: Exchange): Promise<OnBehalf> {
    const { upstreams, passage, breakers, serverLimits } = this.#deps;
    const { claims, route } = exchange;
    const { config } = route;
    const refusal = refusalOf({ server: config, claims }, requiredScopes(config, undefined));
    if (refusal !== undefined) throw refusal;
    if (this.#closing) throw shuttingDown();
    const limited = serverLimits.refusal(config, claims);
    const refused = (limited instanceof Promise ? await limited : limited) ?? breakers.refusal(config);
    if (refused !== undefined) throw refused;
    return passage.onBehalf(exchange, upstreams.to(config.name));
  }

  #client(exchange: Exchange): CallClient {
    const { keepAlive, onDifference } = this.#deps;
    return {
      res: exchange.res,
      keepAlive,
      onListChanged: onDifference && (() => onDifference(exchange.route.config.name, exchange.claims.sub)),
      beginStream: (received, from) => this.#beginStream(exchange, from, received),
    };
  }

  /**
   * The answer with what the caller may call; nothing for one that has no list.
   * @throws ForbiddenError where there are tools and all of them are held: an empty list would say that there are none
   */
  #filtered(exchange: Exchange, answer: HeldAnswer, first: boolean): string | undefined {
    const read = readToolsAnswer(answer.payload.toString('utf8'));
    if (read === undefined) return undefined;
    const { config } = exchange.route;
    const whole = first && !read.more;
    const admitted = this.#admitted(exchange, answer, read.tools, whole);
    if (admitted.length === 0 && read.tools.length > 0 && !read.more) throw allHeld(config.name, read.tools.length);
    return withTools(
      read,
      admitted.filter((tool) => mayCall(exchange, String(tool['name']), this.#deps.denied)),
    );
  }

  /** Those that are not held. What is not on record as it is here is looked at. */
  #admitted({ route, claims }: Exchange, { from }: HeldAnswer, tools: readonly RawTool[], whole: boolean): RawTool[] {
    const { catalogue, log, onDifference } = this.#deps;
    const { name: server } = route.config;
    const { sub: user } = claims;
    if (catalogue === undefined) return [...tools];
    const judged = catalogue.judge(server, tools, user);
    // What the system is shown others may not be; a user's own list is what it is.
    const own = catalogue.listsByUser(server);
    const gone = own && whole && catalogue.tools(server, user).length > tools.length;
    if (gone || judged.some(({ known }) => !known)) {
      if (!own) onDifference?.(server, user);
      catalogue
        .observe(server, tools, {
          partial: !(own && whole),
          user,
          ...(own && whole ? { instanceId: from?.instanceId } : {}),
        })
        .catch((error: unknown) => {
          log.warn({ err: error, server }, 'Tools that passed could not be put on record');
        });
    }
    return tools.filter((_, index) => judged[index]?.admitted === true);
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
}

/** Whether the caller holds what server and tool ask for, and no rule denies the tool as such. */
export function mayCall(
  exchange: Pick<Exchange, 'claims' | 'route'>,
  tool: string,
  denied: ToolDenied | undefined,
): boolean {
  const { config } = exchange.route;
  if (refusalOf({ server: config, claims: exchange.claims }, requiredScopes(config, tool)) !== undefined) return false;
  return denied === undefined || !denied(exchange, tool);
}

function allHeld(server: string, count: number): ForbiddenError {
  return new ForbiddenError(`All ${count} tools of ${server} are held until they are approved`, {
    hint: 'An admin can look at them and approve them.',
    next: [`plugins mcp tools ${server} --diff`],
    data: { reason: 'held', server, tools: count },
  });
}
