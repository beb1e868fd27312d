import type { ServerResponse } from 'node:http';
import type { Identity } from '../../infra/security/identity-header.ts';
import { isRecord } from '../router/jsonrpc.ts';
import type { Asker, Backend } from './backend.ts';
import { EventLog, type EventPlace, eventId } from './event-log.ts';
import { EventStream, type KeepAlive, type KeptAlive } from './event-stream.ts';
import type { Instance } from './instance.ts';
import type { JsonRpcMessage, RequestId } from './message.ts';
import type { Reply } from './reply.ts';

/** Number of the stream that belongs to no request; those of requests count from 1. */
export const ownStream = 0;
/** Messages that wait for a client to open its stream. */
const backlogLimit = 64;
/** Capabilities that a client needs for a request of the server. */
const needed: Readonly<Record<string, string>> = {
  'sampling/createMessage': 'sampling',
  'elicitation/create': 'elicitation',
  'roots/list': 'roots',
};

/** A legacy client after its `initialize`: what it can do, what it waits for, and what it may come back for. */
export class ClientSession implements KeptAlive {
  readonly id: string;
  readonly user: string;
  /** Changes when the one before was stopped for lack of work. */
  instance: Instance;
  /** The `params` of its `initialize`. */
  readonly opened: Readonly<Record<string, unknown>>;
  /** As which the bridge answers in its name. */
  readonly asker: Asker;
  /** Requests that wait for their answers, by the client's ids. */
  readonly replies = new Map<RequestId, Reply>();
  /** Requests of the server that the client has not answered, and who wants to know. */
  readonly asked = new Map<RequestId, Backend>();
  /** Resources that it wants to hear of. */
  readonly subscriptions = new Set<string>();
  readonly log = new EventLog();
  readonly #capabilities: Readonly<Record<string, unknown>>;
  readonly #keepAlive: KeepAlive;
  #streams = 0;
  #getStream: EventStream | undefined;
  #backlog: JsonRpcMessage[] = [];
  #lastActive = performance.now();

  constructor(
    id: string,
    identity: Identity,
    initialize: Readonly<Record<string, unknown>>,
    instance: Instance,
    keepAlive: KeepAlive,
  ) {
    this.id = id;
    this.user = identity.sub;
    this.opened = initialize;
    this.asker = { identity, session: id, era: 'legacy', credentials: undefined, opened: initialize, headers: {} };
    this.instance = instance;
    this.#capabilities = isRecord(initialize['capabilities']) ? initialize['capabilities'] : {};
    this.#keepAlive = keepAlive;
  }

  /** For how long nothing has been open or asked, in ms. */
  get idleMs(): number {
    const busy = this.replies.size > 0 || this.#getStream !== undefined;
    return busy ? 0 : performance.now() - this.#lastActive;
  }

  touch(): void {
    this.#lastActive = performance.now();
  }

  nextStream(): number {
    this.#streams += 1;
    return this.#streams;
  }

  /** Whether the client said that it can answer such a request. */
  canAnswer({ method }: JsonRpcMessage): boolean {
    const capability = needed[method];
    return capability === undefined || this.#capabilities[capability] !== undefined;
  }

  /** Whether it asked to hear of a resource, or of one that it is part of. */
  wants(uri: string): boolean {
    return this.subscriptions.has(uri) || [...this.subscriptions].some((wanted) => uri.startsWith(wanted));
  }

  /** A request has got its answer, or needs none any more. */
  settle(id: RequestId, reply: Reply): void {
    if (this.replies.get(id) === reply) this.replies.delete(id);
    this.touch();
  }

  /** Takes a GET as the stream for all that belongs to no request; one that is still open is ended. */
  listen(res: ServerResponse, last: EventPlace | undefined): void {
    this.stopListening();
    const stream = new EventStream(res);
    this.#getStream = stream;
    this.#keepAlive.add(this);
    res.once('close', () => {
      if (this.#getStream === stream) this.stopListening();
    });
    if (last !== undefined) for (const event of this.log.after(last)) stream.send(event.text, eventId(event));
    const waiting = this.#backlog;
    this.#backlog = [];
    for (const message of waiting) this.send(message);
  }

  /** What belongs to no request: on the stream that the client opened, or when it opens one. */
  send(message: JsonRpcMessage): void {
    if (this.#getStream === undefined) {
      this.#backlog.push(message);
      if (this.#backlog.length > backlogLimit) this.#backlog.shift();
      return;
    }
    const text = message.line;
    this.#getStream.send(text, eventId(this.log.add(ownStream, text)));
  }

  keepAlive(now: number): void {
    this.#getStream?.keepAlive(now, this.#keepAlive.everyMs);
  }

  stopListening(): void {
    this.#keepAlive.delete(this);
    this.#getStream?.end();
    this.#getStream = undefined;
    this.touch();
  }
}
