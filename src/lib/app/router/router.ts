import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Claims,
  isSignedBody,
  readCredentials,
  refuseProxied,
  type TokenVerifier,
} from '../../domain/auth/index.ts';
import type { Catalogue, McpServerConfig } from '../../domain/mcp/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { toAppError } from '../../shared/errors.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { Executor } from '../executor/executor.ts';
import { unknownServer } from '../identity.ts';
import type { RateLimiter } from '../rate-limits.ts';
import { mcpResource, protectedResource, sseAddress } from '../resources.ts';
import { identify, type Sender, type TrustedProxies } from '../trusted-proxies.ts';
import type { UpstreamCredentialSource } from '../upstream/credentials.ts';
import { type AnswerDesk, RetryAsking } from './asking.ts';
import { readBody } from './body.ts';
import type { Breakers } from './breaker.ts';
import { Calls, malformedAnswer } from './calls.ts';
import { helloOf } from './client-hello.ts';
import type { Delegation } from './delegation.ts';
import type { Exchange, McpWay, Route } from './exchange.ts';
import { tellOver } from './farewell.ts';
import { lastEventHeader } from './headers.ts';
import { headerMismatchOf, type Malformed, type Message, parseMessage } from './jsonrpc.ts';
import { KeepAlive } from './keep-alive.ts';
import { Legacy } from './legacy.ts';
import { Lists, type ToolDenied } from './lists.ts';
import { Passage } from './passage.ts';
import { Peers } from './peers.ts';
import { answerIn } from './question.ts';
import { checkPostHeaders, refuse, wrongMethod } from './refusals.ts';
import { Relays } from './relays.ts';
import { type EventHandle, eventHandle, Resumptions } from './resumptions.ts';
import type { ServerLimits } from './server-limits.ts';
import { SessionBinding } from './session-binding.ts';
import { SessionKeeper } from './session-keeper.ts';
import { Sessions } from './sessions.ts';
import { TaskHandles } from './task-handle.ts';
import { isAboutTasks, Tasks, withoutTaskWishes } from './tasks.ts';
import { adoptTrace } from './trace-of.ts';
import { type RouterTracing, TracedUpstreams } from './tracing.ts';
import { type Directory, Upstreams } from './upstreams.ts';
import { VirtualServers } from './virtual.ts';
import { VirtualSessions, virtualInstance } from './virtual-sessions.ts';

export interface McpRouterDeps {
  readonly servers: readonly McpServerConfig[];
  /** The address under which clients reach the API, without a slash at its end. */
  readonly externalUrl: string;
  readonly verifier: Pick<TokenVerifier, 'verify'> & Partial<Pick<TokenVerifier, 'examine'>>;
  /** Proxies whose signed word on the caller is taken; none unless told. */
  readonly proxies?: Pick<TrustedProxies, 'identify'> | undefined;
  readonly directory: Directory;
  readonly executor: Executor;
  /** Which tools the servers have, and which of them may be called. */
  readonly catalogue?: Catalogue | undefined;
  /** Rules that deny a tool whatever its arguments are. */
  readonly denied?: ToolDenied | undefined;
  /** Asks for the list of a user who has one of their own and whose list nobody has seen. */
  readonly ownTools?: ((server: string, claims: Claims) => Promise<unknown>) | undefined;
  /** Hears of a server whose list of tools is not, or may not be, the one on record. */
  readonly onDifference?: ((server: string, user: string) => void) | undefined;
  /** 32 bytes; the identity of callers is signed with keys derived from it. */
  readonly identityRoot: Uint8Array;
  /** What servers behind want with their requests; without it nothing is. */
  readonly credentials?: UpstreamCredentialSource | undefined;
  /** Tokens for servers with `delegate: true`. */
  readonly delegation: Pick<Delegation, 'token'>;
  readonly log: Logger;
  /** Leaves servers alone that do not answer. */
  readonly breakers: Breakers;
  /** Counts requests to single servers. */
  readonly serverLimits: ServerLimits;
  /** This run of the API process. */
  readonly apiInstance: string;
  /** Folder with the sockets of the API processes, by which they reach each other; without it there is one process. */
  readonly peerSockets?: string | undefined;
  /** Where sessions are on record; without it each process knows its own alone. */
  readonly database?: Pick<Database, 'query' | 'listen'> | undefined;
  /** Hears what people answered whom the router has asked. */
  readonly approvals?: AnswerDesk | undefined;
  /** Makes spans of requests; none are made without. */
  readonly tracing?: RouterTracing | undefined;
  /** Counts requests; without it as many as come are taken. */
  readonly rateLimiter?: RateLimiter | undefined;
  readonly limits: {
    /** Largest request and largest answer of a call, in bytes. */
    readonly bodyBytes: number;
    /** How long a request's body may take to arrive, in ms; 30 s unless told. */
    readonly bodyTimeoutMs?: number;
    /** How long a session may be unused, in ms; an hour unless told. */
    readonly sessionIdleMs?: number;
    /** How long a stream may be quiet before a comment is sent, in ms; 30 s unless told. */
    readonly quietMs?: number;
    /** How long a server may take for what is no tool call, in ms. */
    readonly callTimeoutMs: number;
  };
}

/** The way to the MCP servers: `/api/v1/mcp/<server>/mcp`, Streamable HTTP, and `/sse` and `/messages` beside it. */
export interface McpRouter {
  /**
   * Answers one request whose body nobody has read; settles when the exchange is over.
   * @param headers that every answer gets; cheaper than setting them on `res` before
   * @throws NotFoundError, unanswered, for a server that is not there
   */
  handle(
    req: IncomingMessage,
    res: ServerResponse,
    serverName: string,
    headers?: Readonly<Record<string, string>>,
    way?: McpWay,
  ): Promise<void>;
  /** Ends streams, lets running calls come to their end for `graceMs`, then breaks them off. */
  close(graceMs?: number): Promise<void>;
}

export function createMcpRouter(deps: McpRouterDeps): McpRouter {
  return new Router(deps);
}

/** How long a session may be unused, in ms. */
const sessionIdleMs = 3_600_000;

const noHeaders: Readonly<Record<string, string>> = {};

class Router implements McpRouter {
  readonly #verifier: McpRouterDeps['verifier'];
  readonly #proxies: McpRouterDeps['proxies'];
  readonly #bodyLimits: { readonly bytes: number; readonly timeoutMs: number };
  readonly #routes = new Map<string, Route>();
  readonly #sseRoutes = new Map<string, Route>();
  readonly #upstreams: Upstreams;
  readonly #calls: Calls;
  readonly #relays: Relays;
  readonly #lists: Lists;
  readonly #tasks: Tasks;
  readonly #virtual: VirtualServers;
  readonly #rateLimiter: RateLimiter | undefined;
  readonly #sessions: Sessions;
  readonly #keeper: SessionKeeper | undefined;
  readonly #keepAlive: KeepAlive;
  readonly #legacy: Legacy;
  readonly #approvals: McpRouterDeps['approvals'];
  readonly #peers: Peers;
  readonly #tracing: RouterTracing | undefined;

  constructor(deps: McpRouterDeps) {
    const { limits, executor, log, breakers, serverLimits, database } = deps;
    this.#approvals = deps.approvals;
    this.#verifier = deps.verifier;
    this.#proxies = deps.proxies;
    this.#rateLimiter = deps.rateLimiter;
    this.#bodyLimits = { bytes: limits.bodyBytes, timeoutMs: limits.bodyTimeoutMs ?? 30_000 };
    const { tracing } = deps;
    const onAnew = (server: string): void => breakers.forget(server);
    const upstreams =
      tracing === undefined
        ? new Upstreams(deps.directory, deps.identityRoot, onAnew)
        : new TracedUpstreams(tracing, deps.directory, deps.identityRoot, onAnew);
    this.#tracing = tracing;
    const binding = new SessionBinding(deps.identityRoot);
    const sessions = new Sessions({ binding, database, idleMs: limits.sessionIdleMs ?? sessionIdleMs, log });
    const virtualSessions = new VirtualSessions(deps.identityRoot, sessions, upstreams);
    const passage = new Passage(sessions, deps.delegation, deps.credentials, virtualSessions);
    const keepAlive = new KeepAlive({ quietMs: limits.quietMs });
    const way = { upstreams, passage, keepAlive, breakers };
    this.#upstreams = upstreams;
    this.#sessions = sessions;
    this.#keepAlive = keepAlive;
    const peerOptions = { apiInstance: deps.apiInstance, folder: deps.peerSockets, externalUrl: deps.externalUrl };
    const peers = new Peers(peerOptions);
    this.#peers = peers;
    const taskHandles = new TaskHandles(deps.identityRoot);
    this.#calls = new Calls({
      ...way,
      taskHandles,
      resumptions: new Resumptions(peers.own),
      executor,
      retryAsking: new RetryAsking(deps.identityRoot),
      log,
      onListChanged: deps.onDifference,
      answerBytes: limits.bodyBytes,
    });
    this.#relays = new Relays({
      ...way,
      serverLimits,
      onListChanged: deps.onDifference,
      timeoutMs: limits.callTimeoutMs,
    });
    this.#legacy = new Legacy({
      externalUrl: deps.externalUrl,
      keepAlive,
      sessions,
      peers,
      dispatch: async (exchange, message, body) => this.#dispatch(exchange, message, body),
      listen: async (exchange) => {
        // A virtual server says nothing by itself.
        if (exchange.route.config.kind !== 'virtual') await this.#relays.handle(exchange, null, null);
      },
      tell: (session, { claims }) => tellOver(upstreams, { ...session, userName: claims.name }),
    });
    const { catalogue, denied, onDifference } = deps;
    const listLimits = { timeoutMs: limits.callTimeoutMs, answerBytes: limits.bodyBytes };
    this.#tasks = new Tasks({
      ...way,
      executor,
      handles: taskHandles,
      routes: this.#routes,
      serverLimits,
      catalogue,
      denied,
      log,
      ...listLimits,
    });
    this.#virtual = new VirtualServers({
      calls: this.#calls,
      tasks: this.#tasks,
      sessions: virtualSessions,
      respond: (exchange, message, body) => this.#response(exchange, message, body),
      routes: this.#routes,
      serverLimits,
      catalogue,
      denied,
      ownTools: deps.ownTools,
      isServing: (server) => deps.directory.endpoint(`mcp:${server}`)?.state === 'ready',
    });
    this.#lists = new Lists({ ...way, serverLimits, log, ...listLimits, catalogue, denied, onDifference });
    for (const config of deps.servers) {
      if (!config.enabled) continue;
      // How long a token lives its verifier knows.
      const settings = { externalUrl: deps.externalUrl, maxTtlSeconds: Number.POSITIVE_INFINITY };
      const server = mcpResource(config, settings, deps.servers);
      this.#routes.set(config.name, { config, resource: protectedResource(server) });
      // Who connects to the older address is told how to sign in there.
      const resource = protectedResource(server, sseAddress(server.audience));
      this.#sseRoutes.set(config.name, { config, resource });
    }
    this.#keeper =
      database &&
      new SessionKeeper({
        database,
        sessions,
        instances: () => this.#instances(deps.directory),
        tell: (session) => tellOver(upstreams, session),
        log,
      });
  }

  async handle(
    req: IncomingMessage,
    res: ServerResponse,
    serverName: string,
    headers: Readonly<Record<string, string>> = noHeaders,
    way: McpWay = 'mcp',
  ): Promise<void> {
    const arrivedAt = performance.now();
    const route = (way === 'mcp' ? this.#routes : this.#sseRoutes).get(serverName);
    if (route === undefined) throw unknownServer(serverName);
    const resumed = req.method === 'GET' && way === 'mcp' ? eventHandle(req.headers[lastEventHeader]) : undefined;
    if (this.#isElsewhere(req, res, way, resumed)) return;
    let sender: Sender;
    try {
      sender = await identify(this.#verifier, this.#proxies, req, route.resource.audience);
    } catch (error) {
      const counted = await this.#rateLimiter?.count('mcp', { request: req });
      const all = counted === undefined ? headers : { ...headers, ...counted.headers };
      refuse({ req, res, route, headers: all }, { error: counted?.error ?? toAppError(error) });
      return;
    }
    const { claims } = sender;
    const { sub: user, client, scopes } = claims;
    const counting = this.#rateLimiter?.count('mcp', { user, client, scopes });
    const counted = counting instanceof Promise ? await counting : counting;
    const known = { req, res, route, claims, arrivedAt };
    const exchange: Exchange =
      counted === undefined
        ? { ...known, headers }
        : { ...known, headers: { ...headers, ...counted.headers }, tooMany: counted.error };
    const wrong = wrongMethod(route, way, req.method);
    if (wrong !== undefined) refuse(exchange, wrong);
    else if (req.method === 'POST') await this.#post(exchange, sender, way);
    else if (exchange.tooMany !== undefined) refuse(exchange, { error: exchange.tooMany });
    else if (req.method === 'GET')
      await this.#listen({ ...exchange, stillAllowed: this.#again(exchange, sender) }, way, resumed);
    else if (route.config.kind === 'virtual') await this.#virtual.end(exchange);
    else await this.#relays.handle(exchange, null, null);
  }

  /** Whether a stream may go on: its token, which nobody shows again, must still be good. */
  #again({ req, route }: Exchange, { proxied }: Sender): (() => Promise<unknown>) | undefined {
    if (proxied || this.#verifier.examine === undefined) return undefined;
    const { token } = readCredentials(req);
    return async () => this.#verifier.examine?.(token, route.resource.audience);
  }

  async close(graceMs = 10_000): Promise<void> {
    this.#legacy.close();
    this.#relays.close();
    this.#lists.close();
    this.#tasks.close();
    await this.#calls.close(graceMs);
    await this.#keeper?.close();
    await this.#sessions.close();
    this.#keepAlive.close();
    await this.#upstreams.close();
  }

  /** The answer to a question of ours is for no server. It counts when it is of the one who was asked. */
  async #response(exchange: Exchange, message: Message & { kind: 'response' }, body: Buffer): Promise<void> {
    const answer = answerIn(message);
    if (answer === undefined) return this.#relays.handle(exchange, body, null);
    const { res, claims, headers } = exchange;
    if (claims.act === undefined) await this.#approvals?.answered(answer.id, answer.accepted, claims);
    res.writeHead(202, headers).end();
  }

  #instances(directory: Directory): ServiceInstanceId[] {
    return [...this.#routes].flatMap(([name, { config }]) => {
      if (config.kind === 'virtual') return [virtualInstance];
      const endpoint = directory.endpoint(`mcp:${name}`);
      return endpoint?.state === 'ready' ? [endpoint.instanceId] : [];
    });
  }

  /** Hands what only another process can answer to it. */
  #isElsewhere(req: IncomingMessage, res: ServerResponse, way: McpWay, resumed: EventHandle | undefined): boolean {
    if (way === 'messages') return this.#legacy.forward(req, res);
    return resumed !== undefined && this.#peers.forward(resumed.owner, req, res);
  }

  #listen(exchange: Exchange, way: McpWay, resumed: EventHandle | undefined): Promise<void> {
    if (resumed !== undefined) return this.#calls.resume(exchange, resumed);
    return way === 'sse' ? this.#legacy.open(exchange) : this.#relays.handle(exchange, null, null);
  }

  async #post(exchange: Exchange, sender: Sender, way: McpWay): Promise<void> {
    const { req } = exchange;
    // What is posted to a stream is answered there.
    const unacceptable = checkPostHeaders(req, way === 'mcp');
    if (unacceptable !== undefined) {
      refuse(exchange, unacceptable);
      return;
    }
    let body: Buffer;
    try {
      body = await readBody(req, this.#bodyLimits);
    } catch (thrown) {
      const error = toAppError(thrown);
      // 408 (RFC 9110 §15.5.9): it is the client that was slow.
      const refusal = error.code === 'TIMEOUT' ? { error, status: 408 } : { error };
      if (error.code === 'CANCELLED') return refuse(exchange, refusal);
      return this.#calls.unread(exchange, refusal);
    }
    if (sender.proxied && !isSignedBody(body, sender.bodyDigest)) return refuse(exchange, { error: refuseProxied() });
    const message = messageOf(req, body);
    const traced = message.kind === 'call' || message.kind === 'request' || message.kind === 'notification';
    if (traced && this.#tracing !== undefined) {
      return this.#tracing.request(exchange, message, () => this.#admitted(exchange, message, body, way));
    }
    if (traced && message.kind !== 'notification' && message.trace !== undefined) adoptTrace(req, message.trace);
    return this.#admitted(exchange, message, body, way);
  }

  #admitted(exchange: Exchange, message: Message, body: Buffer, way: McpWay): Promise<void> | void {
    const { tooMany } = exchange;
    if (tooMany !== undefined) {
      if (message.kind === 'call') return this.#calls.refused(exchange, message, tooMany);
      return refuse(exchange, { error: tooMany, ...('id' in message ? { id: message.id } : {}) });
    }
    if (way === 'messages' && message.kind !== 'malformed') return this.#legacy.take(exchange, message, body);
    return this.#dispatch(exchange, message, body);
  }

  #dispatch(exchange: Exchange, message: Message, body: Buffer): Promise<void> | void {
    if (exchange.route.config.kind === 'virtual') return this.#virtual.handle(exchange, message, body);
    switch (message.kind) {
      case 'call':
        return this.#calls.handle(exchange, message, body);
      case 'malformed':
        if (message.tool !== undefined) return this.#calls.malformed(exchange, message);
        return refuse(exchange, malformedAnswer(message));
      case 'notification':
        if (message.cancels !== undefined) this.#calls.cancel(exchange, message.cancels);
        if (isAboutTasks(message.method)) return accept(exchange);
        return this.#relays.handle(exchange, body, null);
      case 'response':
        return this.#response(exchange, message, body);
      case 'request':
        return this.#request(exchange, message, body);
    }
  }

  #request(exchange: Exchange, { method, id }: Message & { readonly kind: 'request' }, body: Buffer): Promise<void> {
    if (method === 'tools/list') return this.#lists.handle(exchange, body, id);
    if (isAboutTasks(method)) return this.#tasks.handle(exchange, method, id, body);
    if (method === 'subscriptions/listen') return this.#relays.handle(exchange, withoutTaskWishes(body), id);
    if (method !== 'initialize') return this.#relays.handle(exchange, body, id);
    return this.#relays.handle({ ...exchange, hello: helloOf(body) }, body, id);
  }
}

/** What has no answer is taken, and goes no further. */
function accept({ res, headers }: Exchange): void {
  res.writeHead(202, headers).end();
}

function messageOf(req: IncomingMessage, body: Buffer): Message {
  const parsed = parseMessage(body);
  return mismatch(req, parsed) ?? parsed;
}

function mismatch(req: IncomingMessage, message: Message): Malformed | undefined {
  const { 'mcp-method': method, 'mcp-name': name } = req.headers;
  if (method === undefined && name === undefined) return undefined;
  if (message.kind === 'malformed' || message.kind === 'response') return undefined;
  // A header that is repeated arrives joined, and so says something else than the body.
  return headerMismatchOf(message, { method: method?.toString(), name: name?.toString() });
}
