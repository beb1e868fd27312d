import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../../infra/security/identity-header.ts';
import { toAppError } from '../../shared/errors.ts';
import { isRecord } from '../router/jsonrpc.ts';
import type { Asker, Backend, BackendEnded, Hearer, InstanceScope, Opening } from './backend.ts';
import { isModernRevision, negotiated } from './era.ts';
import { modernStatus } from './eras/refusal.ts';
import { eventId, parseEventId } from './event-log.ts';
import { EventStream, KeepAlive } from './event-stream.ts';
import { errorAnswer } from './faults.ts';
import type { Instance } from './instance.ts';
import { JsonRpcMessage, type RequestId } from './message.ts';
import { InstancePool } from './pool.ts';
import { Reply, sendJson } from './reply.ts';
import type { Listening, Posted, ServiceOptions } from './service-options.ts';
import { type ClientSession, ownStream } from './session.ts';
import { ClientSessions } from './sessions.ts';
import { refuseSession, SessionsElsewhere } from './sessions-elsewhere.ts';
import { SharedSubscriptions } from './shared-subscriptions.ts';

const sessionHeader = 'mcp-session-id';
const methodNotFound = -32601;
const invalidRequest = -32600;
const invalidParams = -32602;
/** What is kept for as long as a session lasts is bounded: its `initialize`, in bytes. */
const longestInitialize = 64 * 1024;

/** What a bridge does with the messages of its clients: it finds the instance that each is for, and brings the answers back. */
export class BridgeService {
  readonly pool: InstancePool;
  readonly sessions: ClientSessions;
  readonly #options: ServiceOptions;
  readonly #keepAlive: KeepAlive;
  readonly #subscriptions: SharedSubscriptions;
  readonly #elsewhere: SessionsElsewhere;
  /** Requests outside of a session, with who asked: a cancellation has to find them. */
  readonly #single = new Map<Reply, { readonly asker: Asker; readonly id: RequestId }>();
  #tools: number | undefined;
  #stopping = false;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#keepAlive = new KeepAlive(options.keepAliveMs);
    this.sessions = new ClientSessions({
      keepAlive: this.#keepAlive,
      idleMs: options.sessionIdleMs,
      limit: options.sessionLimit,
      ...(options.sessionsPerUser === undefined ? {} : { perUser: options.sessionsPerUser }),
      onEnd: (session) => this.#sessionEnded(session),
    });
    this.#subscriptions = new SharedSubscriptions(this.sessions);
    this.pool = new InstancePool({
      factory: options.factory,
      translate: options.translate,
      idleStopMs: options.idleStopMs,
      limit: options.instanceLimit,
      ...(options.instancesPerUser === undefined ? {} : { perUser: options.instancesPerUser }),
      listener: {
        onMessage: (instance, message, session) => this.#unasked(instance, message, session),
        onEnd: (instance, reason, stopped) => this.#instanceEnded(instance, reason, stopped),
        onFailed: (thrown) => {
          const { code, message } = toAppError(thrown);
          options.logger.warn({ code, reason: message }, 'the server could not be reached or started');
        },
      },
    });
    this.#elsewhere = new SessionsElsewhere(
      this.pool,
      (asker) => this.#scope(asker),
      options.sessionsElsewhere === true,
    );
  }

  /** How many tools the last whole list had; undefined before there was one. */
  get tools(): number | undefined {
    return this.#tools;
  }

  async post(posted: Posted): Promise<void> {
    const { req, message } = posted;
    const era = isModernRevision(req.headers, message) ? 'modern' : 'legacy';
    const given = era === 'legacy' ? req.headers[sessionHeader] : undefined;
    const session = typeof given === 'string' ? this.sessions.find(given, posted.identity) : undefined;
    const asker: Asker = {
      identity: posted.identity,
      session: session?.id,
      era,
      credentials: posted.credentials,
      opened: session?.opened,
      headers: req.headers,
    };
    if (typeof given === 'string' && session === undefined) return await this.#elsewhere.post(posted, asker);
    if (message.kind === 'request') await this.#request(posted, asker, session);
    else if (message.kind === 'notification') this.#notification(posted, asker, session);
    else this.#response(posted, asker, session);
  }

  /** A client that listens, or comes back for what it missed. */
  async get(listening: Listening): Promise<void> {
    const { req, res, identity } = listening;
    const session = this.#sessionOf(req, identity);
    if (session === undefined) return await this.#elsewhere.other(listening);
    if (this.#stopping) return refuseSession(res, null);
    const last = parseEventId(String(req.headers['last-event-id'] ?? ''));
    const waiting = last === undefined ? undefined : replyOf(session, last.stream);
    if (last !== undefined && waiting !== undefined) waiting.resume(res, last);
    else if (last !== undefined && last.stream !== ownStream) {
      // Its request has been answered meanwhile: that is all there is.
      const stream = new EventStream(res);
      for (const event of session.log.after(last)) stream.send(event.text, eventId(event));
      stream.end();
    } else session.listen(res, last);
  }

  async delete(listening: Listening): Promise<void> {
    const { req, res, identity } = listening;
    const session = this.#sessionOf(req, identity);
    if (session === undefined) return await this.#elsewhere.other(listening);
    this.sessions.end(session);
    res.writeHead(204).end();
  }

  /** No new answers come to those who only listen; whoever waits for one still gets it. */
  stopListening(): void {
    this.#stopping = true;
    this.sessions.stopListening();
  }

  async close(): Promise<void> {
    this.sessions.close();
    this.#keepAlive.close();
    await this.pool.close();
  }

  async #request(posted: Posted, asker: Asker, session: ClientSession | undefined): Promise<void> {
    const { res, message } = posted;
    const id = message.id as RequestId;
    if (message.method === 'ping' && asker.era === 'legacy') return sendJson(res, JsonRpcMessage.result(id, {}).text);
    if (session?.replies.has(id) === true) {
      return sendJson(res, JsonRpcMessage.error(id, invalidRequest, 'A request with this id is under way.').text);
    }
    let instance: Instance;
    try {
      if (message.method === 'initialize' && asker.era === 'legacy') return await this.#initialize(posted, asker);
      const scope = this.#scope(asker);
      instance = this.pool.ready(scope) ?? (await this.#acquire(posted, scope, session));
      if (asker.era === 'legacy' && instance.prepare !== undefined) await instance.prepare();
    } catch (error) {
      return this.#refuse(res, id, error);
    }
    // An instance for this session alone was stopped or has crashed, and with it what it knew.
    if (session !== undefined && instance !== session.instance) this.sessions.move(session, instance);
    if (session === undefined && instance.relays(asker.era, true)) {
      return await instance.relay({ req: posted.req, res, body: posted.body, asker });
    }
    this.#ask(posted, asker, session, instance);
  }

  #ask(posted: Posted, asker: Asker, session: ClientSession | undefined, instance: Instance): void {
    const { req, res, message } = posted;
    const id = message.id as RequestId;
    const backend = instance.for(asker.era);
    const tooMuch = session && this.#subscriptions.refusalOf(session, message);
    if (tooMuch !== undefined) {
      sendJson(res, JsonRpcMessage.error(id, invalidParams, tooMuch).text);
      return;
    }
    if (session !== undefined && this.#subscriptions.takes(session, message)) {
      sendJson(res, JsonRpcMessage.result(id, {}).text);
      return;
    }
    const reply = new Reply({
      req,
      res,
      keepAlive: this.#keepAlive,
      resumable: session === undefined ? undefined : { stream: session.nextStream(), log: session.log },
      onQuestion: (question) => this.#question(session, backend, question, asker),
      ...(asker.era === 'modern' ? { statusOf: modernStatus } : {}),
      onEnd: (ended) => {
        if (session === undefined) this.#single.delete(ended);
        else session.settle(id, ended);
      },
    });
    if (session === undefined) this.#single.set(reply, { asker, id });
    else session.replies.set(id, reply);
    const hearer = message.method === 'tools/list' ? this.#counting(message, reply) : reply;
    reply.await(backend.request(message, asker, hearer));
  }

  async #initialize(posted: Posted, asker: Asker): Promise<void> {
    const { res, message, body } = posted;
    const id = message.id as RequestId;
    if (body.length > longestInitialize) {
      const text = `initialize has ${longestInitialize} bytes at most.`;
      return sendJson(res, JsonRpcMessage.error(id, invalidParams, text).text);
    }
    const session = this.sessions.newId();
    const own = this.#options.instances === 'session';
    const scope: InstanceScope = own ? { kind: 'session', session } : this.#scope(asker);
    const instance = await this.pool.acquire(
      scope,
      this.#opening(posted, own ? message.params : undefined),
      asker.identity.sub,
    );
    await instance.prepare?.();
    if (instance.relays('legacy')) {
      return await instance.relay({ req: posted.req, res, body: posted.body, asker });
    }
    if (res.destroyed) return await this.pool.release(session);
    this.sessions.begin(session, posted.identity, message.params, instance);
    const { initialized } = instance.for('legacy');
    const version = own ? initialized['protocolVersion'] : negotiated(message.params, initialized);
    const answer = JsonRpcMessage.result(id, { ...offered(initialized), protocolVersion: version });
    sendJson(res, answer.text, { [sessionHeader]: session });
  }

  #notification({ res, message }: Posted, asker: Asker, session: ClientSession | undefined): void {
    if (message.method === 'notifications/cancelled') this.#cancel(message, asker, session);
    else {
      // Nothing is started for a notification: whoever is not there has nothing to do with what was before.
      const instance = session?.instance ?? this.pool.ready(this.#scope(asker));
      if (instance !== undefined && instance.ended === undefined) instance.for(asker.era).notify(message, asker);
    }
    res.writeHead(202).end();
  }

  #response({ res, message }: Posted, asker: Asker, session: ClientSession | undefined): void {
    const id = message.id as RequestId;
    const backend = session?.asked.get(id);
    session?.asked.delete(id);
    backend?.respond(message, asker);
    res.writeHead(202).end();
  }

  #cancel({ params }: JsonRpcMessage, asker: Asker, session: ClientSession | undefined): void {
    const id = params['requestId'];
    const reason = typeof params['reason'] === 'string' ? params['reason'] : undefined;
    if (session !== undefined) {
      session.replies.get(id as RequestId)?.cancel(reason);
      return;
    }
    // Clients number their requests from zero: of several on one sign-in none is cancelled, it could be the wrong one.
    const { sub, sid } = asker.identity;
    const meant = [...this.#single].filter(
      ([, one]) => one.id === id && one.asker.identity.sub === sub && one.asker.identity.sid === sid,
    );
    if (meant.length === 1) meant[0]?.[0].cancel(reason);
  }

  /** A request of the server to the client whose request it works on. @returns whether the client can be asked */
  #question(session: ClientSession | undefined, backend: Backend, question: JsonRpcMessage, asker: Asker): boolean {
    const id = question.id as RequestId;
    if (session?.canAnswer(question) === true) {
      session.asked.set(id, backend);
      return true;
    }
    const message = `The client can't answer ${question.method}.`;
    backend.respond(JsonRpcMessage.error(id, methodNotFound, message), asker);
    return false;
  }

  /** What belongs to no request. */
  #unasked(instance: Instance, message: JsonRpcMessage, only: string | undefined): void {
    const sessions = [...this.sessions.on(instance)].filter(({ id }) => only === undefined || id === only);
    if (message.kind === 'request') {
      const [session] = sessions;
      const asked = sessions.length === 1 ? session : undefined;
      const backend = instance.for('legacy');
      if (this.#question(asked, backend, message, asked?.asker ?? nobody)) asked?.send(message);
      return;
    }
    const uri = message.method === 'notifications/resources/updated' ? message.params['uri'] : undefined;
    for (const session of sessions) {
      const wanted = instance.scope.kind === 'session' || typeof uri !== 'string' || session.wants(uri);
      if (wanted) session.send(message);
    }
  }

  #instanceEnded(instance: Instance, reason: BackendEnded, stopped: boolean): void {
    if (!stopped) this.#options.logger.warn({ code: reason.exitCode, signal: reason.signal }, 'an instance ended');
    for (const session of [...this.sessions.on(instance)]) {
      // Stopped for lack of work: whoever asks next gets another one. After a crash clients are told to begin anew.
      const forgets = !stopped || instance.scope.kind === 'session' || session.subscriptions.size > 0;
      if (forgets) this.sessions.end(session);
    }
    this.#options.onEnd?.();
  }

  #sessionEnded(session: ClientSession): void {
    const { instance } = session;
    if (instance.scope.kind === 'session') {
      void this.pool.release(session.id);
      return;
    }
    if (instance.ended !== undefined) return;
    this.#subscriptions.end(session, instance);
  }

  #counting(list: JsonRpcMessage, reply: Reply): Hearer {
    return {
      onMessage: (message) => reply.onMessage(message),
      onAnswer: (answer) => {
        const { result } = answer.value;
        if (isRecord(result) && Array.isArray(result['tools']) && list.params['cursor'] === undefined) {
          this.#tools = result['tools'].length;
        }
        reply.onAnswer(answer);
      },
    };
  }

  #scope({ identity, credentials, session }: Asker): InstanceScope {
    const { instances } = this.#options;
    if (instances === 'shared') return { kind: 'shared' };
    if (instances === 'session' && session !== undefined) return { kind: 'session', session };
    // Single requests of one user have no session to be told apart by.
    return { kind: 'user', user: identity.sub, key: credentials?.key };
  }

  async #acquire(posted: Posted, scope: InstanceScope, session: ClientSession | undefined): Promise<Instance> {
    return await this.pool.acquire(
      scope,
      this.#opening(posted, scope.kind === 'session' ? session?.opened : undefined),
      posted.identity.sub,
    );
  }

  #opening({ req, credentials }: Posted, initialize: Readonly<Record<string, unknown>> | undefined): Opening {
    const header = req.headers['x-systemprompt-identity'];
    return {
      ...(initialize === undefined ? {} : { initialize }),
      ...(credentials === undefined ? {} : { credentials }),
      ...(typeof header === 'string' ? { identityHeader: header } : {}),
    };
  }

  #sessionOf(req: IncomingMessage, identity: Identity): ClientSession | undefined {
    const given = req.headers[sessionHeader];
    return typeof given === 'string' ? this.sessions.find(given, identity) : undefined;
  }

  #refuse(res: ServerResponse, id: RequestId, error: unknown): void {
    const answer = errorAnswer(id, error);
    if (isRecord(answer.value['error']) && answer.value['error']['code'] === -32603) {
      this.#options.logger.error({ err: error }, 'request failed');
    }
    sendJson(res, answer.text);
  }
}

/** What a server offers its clients here: it does not know whose its tasks are, so it lists them to nobody. */
function offered(initialized: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const { capabilities } = initialized;
  const tasks = isRecord(capabilities) ? capabilities['tasks'] : undefined;
  if (!isRecord(capabilities) || !isRecord(tasks)) return initialized;
  const { list: _, ...rest } = tasks;
  return { ...initialized, capabilities: { ...capabilities, tasks: rest } };
}

const nobody = { session: undefined, era: 'legacy', credentials: undefined, headers: {} } as unknown as Asker;

function replyOf(session: ClientSession, stream: number): Reply | undefined {
  return [...session.replies.values()].find((reply) => reply.streamNumber === stream);
}
