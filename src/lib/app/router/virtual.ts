import { setTimeout as delay } from 'node:timers/promises';
import type { Catalogue, McpServerConfig } from '../../domain/mcp/index.ts';
import { packageVersion } from '../../infra/config/package-root.ts';
import { type AppError, ForbiddenError, UpstreamUnavailableError, UsageError } from '../../shared/errors.ts';
import { errorCode, legacyRevisions, metaKey, modernRevision, negotiate } from '../bridge/eras/revisions.ts';
import { refusalOf, requiredScopes } from '../executor/executor.ts';
import type { ErrorAnswer } from './answers.ts';
import { type Calls, malformedAnswer } from './calls.ts';
import type { Exchange, Route } from './exchange.ts';
import { sessionHeader, sessionOf } from './headers.ts';
import { isRecord, type Message, type RequestId } from './jsonrpc.ts';
import { mayCall, type ToolDenied } from './lists.ts';
import { answerIn } from './question.ts';
import { refuse } from './refusals.ts';
import { renameCall } from './rename-call.ts';
import type { ServerLimits } from './server-limits.ts';
import { isAboutTasks, type Tasks } from './tasks.ts';
import { unknownSession } from './unknown-session.ts';
import type { VirtualSessions } from './virtual-sessions.ts';
import { asListed, type OfferedTool, offeredTool, offeredTools } from './virtual-tools.ts';

export interface VirtualDeps {
  readonly calls: Calls;
  readonly tasks: Pick<Tasks, 'handle'>;
  readonly sessions: Pick<VirtualSessions, 'begin' | 'find' | 'end' | 'questionOf'>;
  /** Takes the answer to a question: the router's own, or of the server that the exchange is with. */
  readonly respond: (exchange: Exchange, message: Response, body: Buffer) => Promise<void>;
  /** All servers, by name. */
  readonly routes: ReadonlyMap<string, Route>;
  readonly serverLimits: Pick<ServerLimits, 'refusal'>;
  readonly catalogue?: Catalogue | undefined;
  readonly denied?: ToolDenied | undefined;
  /** Asks for the list of a user who has one of their own. */
  readonly ownTools?: ((server: string, claims: Exchange['claims']) => Promise<unknown>) | undefined;
  /** Whether the process of a server is ready. */
  readonly isServing: (server: string) => boolean;
}

/** How long a list waits for targets that are asked for a user's own tools, in ms. */
const ownToolsMs = 10_000;
/** Tools a page of a list. */
const pageSize = 200;

type Call = Message & { readonly kind: 'call' };
type Request = Message & { readonly kind: 'request' };
type Response = Message & { readonly kind: 'response' };
type Params = Readonly<Record<string, unknown>>;

/**
 * Servers without a process: what they offer are tools of others, under names of their own. All but calls is answered here,
 * from the catalogue, so that a target that is down takes nothing from the others; a call goes to its target.
 */
export class VirtualServers {
  readonly #deps: VirtualDeps;

  constructor(deps: VirtualDeps) {
    this.#deps = deps;
  }

  /** Answers one message. Settles when the exchange is over. */
  async handle(received: Exchange, message: Message, body: Buffer): Promise<void> {
    const shown = sessionOf(received.req) !== undefined;
    const virtualSession = shown ? await this.#deps.sessions.find(received) : undefined;
    const exchange: Exchange = virtualSession === undefined ? received : { ...received, virtualSession };
    if (message.kind === 'malformed') {
      if (message.tool !== undefined) return this.#deps.calls.malformed(exchange, message);
      return refuse(exchange, malformedAnswer(message));
    }
    const unknown = shown && virtualSession === undefined ? unknownSession() : undefined;
    const against = unknown ?? (await this.#against(exchange));
    await this.#ready(exchange, message.kind === 'request' && message.method === 'tools/list');
    if (message.kind === 'call') return this.#call(exchange, message, body, against);
    const id = message.kind === 'request' ? message.id : null;
    if (against !== undefined) return refuse(exchange, { error: against, id });
    if (message.kind === 'response') return this.#answer(exchange, message, body);
    if (message.kind !== 'request') {
      if (message.kind === 'notification' && message.cancels !== undefined)
        this.#deps.calls.cancel(exchange, message.cancels);
      exchange.res.writeHead(202, { ...exchange.headers }).end();
      return;
    }
    return this.#request(exchange, message, body);
  }

  #request(exchange: Exchange, message: Request, body: Buffer): Promise<void> | void {
    const { id } = message;
    if (isAboutTasks(message.method)) return this.#deps.tasks.handle(exchange, message.method, id, body);
    const params = paramsOf(body);
    const era = eraOf(exchange, params);
    if (typeof era !== 'string') return refuse(exchange, { ...era, id });
    if (era === 'modern') return this.#modern(exchange, message.method, message.id, params);
    if (message.method === 'initialize') {
      const { bound } = this.#deps.sessions.begin(exchange, body);
      return send(exchange, message.id, this.#initialized(exchange, params), { [sessionHeader]: bound });
    }
    if (message.method === 'ping') return send(exchange, message.id, {});
    if (message.method !== 'tools/list') return refuse(exchange, { ...unknownMethod(message.method), status: 200, id });
    return this.#list(exchange, message.id, params, {});
  }

  /** Ends the session that a client shows (DELETE). */
  async end(exchange: Exchange): Promise<void> {
    const session = await this.#deps.sessions.find(exchange);
    if (session === undefined) return refuse(exchange, { error: unknownSession() });
    this.#deps.sessions.end(session, exchange);
    exchange.res.writeHead(204, { ...exchange.headers }).end();
  }

  /** The answer to a question of a target, or of the router's own. */
  #answer(exchange: Exchange, message: Response, body: Buffer): Promise<void> | void {
    const { virtualSession: session, route } = exchange;
    const { respond, sessions, routes } = this.#deps;
    if (answerIn(message) !== undefined) return respond(exchange, message, body);
    const question = session && sessions.questionOf(session, message.to);
    const target = question && routes.get(question.target);
    if (question === undefined || target === undefined) {
      exchange.res.writeHead(202, { ...exchange.headers }).end();
      return;
    }
    const { virtualSession: _, ...rest } = exchange;
    const onward: Exchange = {
      ...rest,
      route: { config: target.config, resource: route.resource },
      via: { server: route.config.name, tool: '' },
      inSession: question.session,
    };
    const answer = { ...(JSON.parse(body.toString('utf8')) as object), id: question.id };
    return respond(onward, { ...message, to: question.id }, Buffer.from(JSON.stringify(answer)));
  }

  #initialized(exchange: Exchange, params: Params) {
    const { config } = exchange.route;
    const offersTasks = this.#offered(exchange).some(({ known }) => {
      const execution = known?.definition['execution'];
      return isRecord(execution) && ['optional', 'required'].includes(String(execution['taskSupport']));
    });
    const tasks = offersTasks ? { tasks: { cancel: {}, requests: { tools: { call: {} } } } } : {};
    return {
      protocolVersion: negotiate(params['protocolVersion']),
      capabilities: { ...capabilities, ...tasks },
      serverInfo: infoOf(config),
      instructions: config.description,
    };
  }

  #offered({ route, claims }: Exchange): OfferedTool[] {
    const { catalogue } = this.#deps;
    return catalogue === undefined ? [] : [...offeredTools(route.config, catalogue, claims.sub).values()];
  }

  #modern(exchange: Exchange, method: string, id: RequestId, params: Params): void {
    const { config } = exchange.route;
    const always = {
      resultType: 'complete',
      ttlMs: 0,
      cacheScope: 'private',
      _meta: { [metaKey.serverInfo]: infoOf(config) },
    };
    const supportedVersions = [modernRevision, ...legacyRevisions];
    const discovered = { supportedVersions, capabilities, instructions: config.description, ...always };
    if (method === 'tools/list') this.#list(exchange, id, params, always);
    else if (method === 'server/discover') send(exchange, id, discovered);
    else refuse(exchange, { ...unknownMethod(method), id });
  }

  #list(exchange: Exchange, id: RequestId, { cursor }: Params, always: Params): void {
    const { config } = exchange.route;
    const offered = this.#offered(exchange);
    const tools = offered.filter((tool) => this.#mayBeCalled(exchange, tool));
    if (tools.length === 0) {
      refuse(exchange, { error: this.#nothing(config, offered), id });
      return;
    }
    const start = cursor === undefined ? 0 : Number(/^from-([0-9]{1,6})$/.exec(String(cursor))?.[1] ?? Number.NaN);
    if (!(start < tools.length)) {
      const error = new UsageError('There is no such cursor.', { hint: 'Begin the list anew.' });
      refuse(exchange, { error, id, code: errorCode.invalidParams });
      return;
    }
    const next = start + pageSize < tools.length ? { nextCursor: `from-${start + pageSize}` } : {};
    send(exchange, id, { tools: tools.slice(start, start + pageSize).map(asListed), ...next, ...always });
  }

  /** What holds of the target holds here: its scopes and its tool's, its rules, and what is held. */
  #mayBeCalled(exchange: Exchange, { target, tool, known }: OfferedTool): boolean {
    const route = this.#deps.routes.get(target);
    if (route === undefined || known === undefined || known.state !== 'approved') return false;
    return mayCall({ claims: exchange.claims, route }, tool, this.#deps.denied);
  }

  /** Why a list would be empty: that is no answer, for its client would take the server to be without tools. */
  #nothing(config: McpServerConfig, offered: readonly OfferedTool[]): AppError {
    const targets = (config.virtual?.targets ?? []).map(({ server }) => {
      const held = offered.filter(({ target, known }) => target === server && known?.state === 'held').length;
      const state = this.#deps.isServing(server) ? 'ready' : 'not running';
      return { server, state, held };
    });
    const details = { data: { server: config.name, targets } };
    const down = targets.filter(({ state }) => state !== 'ready').map(({ server }) => server);
    if (offered.every(({ known }) => known === undefined || known.state === 'gone') || down.length === targets.length) {
      const which = down.length === 0 ? 'no target has listed any yet' : `${down.join(', ')} not running`;
      return new UpstreamUnavailableError(`${config.name} has no tools now: ${which}.`, {
        ...details,
        hint: 'Try again in a moment.',
        next: ['infra services status'],
      });
    }
    const held = targets.find((target) => target.held > 0);
    if (held !== undefined) {
      return new ForbiddenError(`The tools of ${config.name} are held until they are approved`, {
        data: { ...details.data, reason: 'held' },
        hint: 'An admin can look at them and approve them.',
        next: [`plugins mcp tools ${held.server} --diff`],
      });
    }
    return new ForbiddenError(`${config.name} has no tool that you may call`, {
      data: { ...details.data, reason: 'scopes' },
    });
  }

  async #call(exchange: Exchange, message: Call, body: Buffer, against: AppError | undefined): Promise<void> {
    const { calls, catalogue, routes } = this.#deps;
    const { route } = exchange;
    const offered = catalogue && offeredTool(route.config, catalogue, message.tool, exchange.claims.sub);
    const target = offered && routes.get(offered.target);
    if (offered === undefined || target === undefined) {
      const error = new UsageError(`${route.config.name} has no tool of that name`, {
        data: { server: route.config.name },
      });
      return calls.refused(exchange, message, against ?? error);
    }
    // The challenge of a refusal is the virtual server's: it is that one for which the caller has a token.
    const onward: Exchange = {
      ...exchange,
      route: { config: target.config, resource: route.resource },
      via: { server: route.config.name, tool: offered.tool },
    };
    const call = { ...message, tool: offered.tool };
    if (against !== undefined) return calls.refused(onward, call, against);
    return calls.handle(onward, call, offered.tool === message.tool ? body : renameCall(body, offered.tool));
  }

  /** What targets offer to this user alone is brought into memory; for a list they are asked, where nobody has seen it. */
  async #ready({ route, claims }: Exchange, listing: boolean): Promise<void> {
    const { catalogue, ownTools, isServing } = this.#deps;
    const own = (route.config.virtual?.targets ?? []).filter(({ server }) => catalogue?.listsByUser(server) === true);
    if (own.length === 0) return;
    await Promise.all(own.map(({ server }) => catalogue?.ready(server, claims.sub)));
    if (!listing || ownTools === undefined) return;
    const unknown = own.filter(({ server }) => catalogue?.tools(server, claims.sub).length === 0 && isServing(server));
    // What keeps one from answering is no reason to hide the other targets.
    const asked = Promise.all(unknown.map(({ server }) => ownTools(server, claims)));
    if (unknown.length > 0) await Promise.race([asked, delay(ownToolsMs, undefined, { ref: false })]);
  }

  /** What speaks against every request: scopes that the virtual server asks for itself, and its limits. */
  async #against({ claims, route }: Exchange): Promise<AppError | undefined> {
    const refusal = refusalOf({ server: route.config, claims }, requiredScopes(route.config, undefined));
    return refusal ?? (await this.#deps.serverLimits.refusal(route.config, claims));
  }
}

/** Its tools may change with those of its targets, and nobody is told: there is no stream to be told by. */
const capabilities = { tools: { listChanged: false } };

function infoOf({ name, displayName }: McpServerConfig) {
  return { name, title: displayName, version: packageVersion() };
}

/** By which era a request is to be answered, or what is wrong with it. */
function eraOf({ req }: Exchange, params: Params): 'legacy' | 'modern' | ErrorAnswer {
  const meta = isRecord(params['_meta']) ? params['_meta'] : {};
  const said = meta[metaKey.protocolVersion];
  const header = req.headers['mcp-protocol-version'];
  if (said === undefined) {
    const spoken = header === undefined || (legacyRevisions as readonly unknown[]).includes(header);
    return spoken ? 'legacy' : { error: new UsageError('This revision of MCP is not spoken here.'), status: 400 };
  }
  if (header !== undefined && header !== said) {
    const error = new UsageError('The header MCP-Protocol-Version says something else than the body.');
    return { error, status: 400, code: errorCode.headerMismatch };
  }
  if (said === modernRevision) return 'modern';
  const error = new UsageError('This revision of MCP is not spoken here.', { data: { supported: [modernRevision] } });
  return { error, status: 400, code: errorCode.unsupportedVersion };
}

function unknownMethod(method: string): ErrorAnswer {
  const error = new UsageError(`A virtual server has no method ${method.slice(0, 100)}: it offers tools only.`);
  return { error, status: 404, code: errorCode.methodNotFound };
}

function paramsOf(body: Buffer): Params {
  const message: unknown = JSON.parse(body.toString('utf8'));
  return isRecord(message) && isRecord(message['params']) ? message['params'] : {};
}

function send(
  { res, headers }: Exchange,
  id: RequestId,
  result: unknown,
  more: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify({ jsonrpc: '2.0', id, result });
  res.writeHead(200, {
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...more,
  });
  res.end(body);
}
