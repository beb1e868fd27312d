import type { ServerResponse } from 'node:http';
import { isRecord } from '../router/jsonrpc.ts';
import type { Identity } from '../../infra/security/identity-header.ts';
import type { Backend } from './backend.ts';
import { EventLog, type EventPlace, eventId } from './event-log.ts';
import { EventStream, type KeepAlive, type KeptAlive } from './event-stream.ts';
import type { Instance } from './instance.ts';
import type { JsonRpcMessage, RequestId } from './message.ts';
import type { Reply } from './reply.ts';

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
  readonly instance: Instance;
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
  #getStream: { readonly stream: EventStream; readonly res: ServerResponse; readonly number: number } | undefined;
  #backlog: JsonRpcMessage[] = [];
  #lastActive = performance.now();

  constructor(
    id: string,
    { sub }: Pick<Identity, 'sub'>,
    initialize: Readonly<Record<string, unknown>>,
    instance: Instance,
    keepAlive: KeepAlive,
  ) {
    this.id = id;
    this.user = sub;
    this.instance = instance;
    this.#capabilities = isRecord(initialize['capabilities']) ? initialize['capabilities'] : {};
    this.#keepAlive = keepAlive;
  }

  /** For how long nothing has been open or asked, in ms. */
  get idleMs(): number {
    const busy = this.replies.size > 0 || this.#getStream !== undefined;
    return busy ? 0 : performance.now() - this.#lastActive;
  }

  /** Whether its client holds a stream open for whatever comes. */
  get listens(): boolean {
    return this.#getStream !== undefined;
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

  /** Takes a GET as the stream for all that belongs to no request; one that is still open is ended. */
  listen(res: ServerResponse, last: EventPlace | undefined): void {
    this.#getStream?.stream.end();
    const number = last?.stream ?? this.nextStream();
    const stream = new EventStream(res, { 'mcp-session-id': this.id });
    const own = { stream, res, number };
    this.#getStream = own;
    this.#keepAlive.add(this);
    res.once('close', () => {
      if (this.#getStream !== own) return;
      this.#getStream = undefined;
      this.#keepAlive.delete(this);
      this.touch();
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
    this.#getStream.stream.send(text, eventId(this.log.add(this.#getStream.number, text)));
  }

  keepAlive(now: number): void {
    this.#getStream?.stream.keepAlive(now, this.#keepAlive.everyMs);
  }

  /** Ends its stream; requests have been answered or cancelled before. */
  close(): void {
    this.#keepAlive.delete(this);
    this.#getStream?.stream.end();
    this.#getStream = undefined;
  }
}
