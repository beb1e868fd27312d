import { isRecord } from '../router/jsonrpc.ts';
import type { Asker, BackendEnded, BackendListener, Hearer, PendingRequest } from './backend.ts';
import { endedData, faultAnswer } from './faults.ts';
import type { LongLine } from './line-splitter.ts';
import { JsonRpcMessage, type RequestId } from './message.ts';

export interface MultiplexerDeps {
  /** Sends one line, without its end. @returns whether it could be taken */
  readonly write: (line: string) => boolean;
  readonly listener: Pick<BackendListener, 'onMessage'>;
  /** Whether all who ask are one and the same client, so that a question of the server can be for nobody else. */
  readonly oneClient: boolean;
  /** Hears of what the program sent and nobody gets. */
  readonly onStray: (what: string, facts: Readonly<Record<string, unknown>>) => void;
}

interface Pending {
  readonly id: RequestId;
  readonly asker: Asker;
  readonly hearer: Hearer;
  /** What the client calls its progress. */
  readonly progressToken: RequestId | undefined;
}

const subscriptionId = 'io.modelcontextprotocol/subscriptionId';
/** Characters of a stray line that are shown. */
const shownLength = 200;
const methodNotFound = -32601;
/** Of the method that only a client of the whole connection can answer. */
const invalidRequest = -32600;

/**
 * Many clients on one JSON-RPC connection: their requests get ids of their own on the way there and their old ones on
 * the way back, progress tokens likewise. What the other side says wrongly hits the one request that it was about.
 */
export class Multiplexer {
  readonly #deps: MultiplexerDeps;
  readonly #pending = new Map<number, Pending>();
  /** Requests of the server to a client that have not been answered, and who was asked. */
  readonly #asked = new Map<RequestId, Pending | undefined>();
  #last = 0;
  #ended: BackendEnded | undefined;

  constructor(deps: MultiplexerDeps) {
    this.#deps = deps;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /** Who waits for an answer, when that is one request alone. */
  get onlyAsker(): Asker | undefined {
    if (this.#pending.size !== 1) return undefined;
    for (const { asker } of this.#pending.values()) return asker;
    return undefined;
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const id = request.id as RequestId;
    this.#last += 1;
    const own = this.#last;
    const token = progressTokenOf(request);
    this.#pending.set(own, { id, asker, hearer, progressToken: token });
    if (this.#ended !== undefined) {
      this.#fault(own, this.#ended.message, endedData(this.#ended));
    } else {
      const sent = token === undefined ? request.withId(own) : withProgressToken(request, own).withId(own);
      if (!this.#deps.write(sent.line)) {
        this.#fault(own, 'The server does not read what it is sent: too much is waiting for it already.');
      }
    }
    return { cancel: (reason) => this.#cancel(own, reason) };
  }

  notify(notification: JsonRpcMessage): void {
    if (this.#ended === undefined) this.#deps.write(notification.line);
  }

  respond(response: JsonRpcMessage): void {
    if (response.id === null || response.id === undefined) return;
    // Answered by nobody else before, and to a question that was asked.
    if (!this.#asked.delete(response.id) || this.#ended !== undefined) return;
    this.#deps.write(response.line);
  }

  /** One line of the program's output. */
  receive(line: string): void {
    const message = JsonRpcMessage.parse(line);
    if (message === undefined) this.#garbage(line, 'The server sent what is no JSON-RPC message.');
    else if (message.kind === 'response') this.#answer(message);
    else if (message.kind === 'request') this.#question(message);
    else this.#notification(message);
  }

  receiveLong({ head, tail }: LongLine): void {
    const own = guessId(head, tail);
    if (own === undefined && tail === '') return; // its end may tell
    this.#garbage(head, 'The server answered with more than the bridge takes.', own);
  }

  /** The connection is gone: everybody who waits is told why. */
  end(reason: BackendEnded): void {
    this.#ended = reason;
    for (const own of [...this.#pending.keys()]) this.#fault(own, reason.message, endedData(reason));
    this.#asked.clear();
  }

  #answer(answer: JsonRpcMessage): void {
    const pending = typeof answer.id === 'number' ? this.#take(answer.id) : undefined;
    if (pending !== undefined) {
      pending.hearer.onAnswer(answer.withId(pending.id));
      return;
    }
    // Late, for a request that was given up, or a second one.
    if (typeof answer.id === 'number' && answer.id > 0 && answer.id <= this.#last) {
      this.#deps.onStray('an answer that nobody waits for', { id: answer.id });
      return;
    }
    this.#garbage(answer.text, 'The server answered another request than it was sent.');
  }

  #question(question: JsonRpcMessage): void {
    const id = question.id as RequestId;
    if (question.method === 'ping') {
      this.#deps.write(JsonRpcMessage.result(id, {}).text);
      return;
    }
    if (this.#asked.has(id)) {
      this.#deps.onStray('a request under an id that is still in use', { method: question.method });
      return;
    }
    const aim = this.#clientMeant();
    if (aim === 'several') {
      this.#deps.onStray('a request to a client while several are served', { method: question.method });
      const message =
        'Several clients are served at once, and MCP does not say which of them a request is for: run an instance for each session.';
      this.#deps.write(JsonRpcMessage.error(id, invalidRequest, message).text);
    } else if (aim !== undefined) {
      this.#asked.set(id, aim);
      aim.hearer.onMessage(question);
    } else if (this.#deps.oneClient) {
      this.#asked.set(id, undefined);
      this.#deps.listener.onMessage(question);
    } else {
      this.#deps.write(JsonRpcMessage.error(id, methodNotFound, 'There is no client to ask.').text);
    }
  }

  #notification(notification: JsonRpcMessage): void {
    const { method, params } = notification;
    if (method === 'notifications/progress') {
      const own = params['progressToken'];
      const pending = typeof own === 'number' ? this.#pending.get(own) : undefined;
      if (pending?.progressToken === undefined) return;
      pending.hearer.onMessage(notification.withParams({ ...params, progressToken: pending.progressToken }));
    } else if (isRecord(params['_meta']) && params['_meta'][subscriptionId] !== undefined) {
      this.#ofSubscription(notification, params['_meta']);
    } else if (method === 'notifications/cancelled') {
      this.#withdrawn(notification);
    } else if (isForAll(method)) {
      this.#deps.listener.onMessage(notification);
    } else {
      const aim = this.#clientMeant();
      if (aim !== undefined && aim !== 'several') aim.hearer.onMessage(notification);
      else if (this.#deps.oneClient) this.#deps.listener.onMessage(notification);
      // What is about one client's call must not reach another one.
      else this.#deps.onStray('a notification that may be about any of several clients', { method });
    }
  }

  /** What a modern server sends on a stream that `subscriptions/listen` opened; it is named by that request's id. */
  #ofSubscription(notification: JsonRpcMessage, meta: Readonly<Record<string, unknown>>): void {
    const pending = this.#pending.get(Number(meta[subscriptionId]));
    if (pending === undefined) return;
    const named = { ...meta, [subscriptionId]: pending.id };
    pending.hearer.onMessage(notification.withParams({ ...notification.params, _meta: named }));
  }

  /** The server takes a question back. */
  #withdrawn(notification: JsonRpcMessage): void {
    const id = notification.params['requestId'] as RequestId;
    if (!this.#asked.has(id)) return;
    const aim = this.#asked.get(id);
    this.#asked.delete(id);
    if (aim === undefined) this.#deps.listener.onMessage(notification);
    else aim.hearer.onMessage(notification);
  }

  /** Whose newest request it is that the server speaks about, if it can only be one client's. */
  #clientMeant(): Pending | 'several' | undefined {
    let meant: Pending | undefined;
    for (const pending of this.#pending.values()) {
      if (meant !== undefined && !this.#deps.oneClient && !isSameClient(meant.asker, pending.asker)) return 'several';
      meant = pending;
    }
    return meant;
  }

  #cancel(own: number, reason: string | undefined): void {
    if (this.#take(own) === undefined || this.#ended !== undefined) return;
    const params = { requestId: own, ...(reason === undefined ? {} : { reason }) };
    this.#deps.write(JsonRpcMessage.notification('notifications/cancelled', params).text);
  }

  /** What can't be read hits the request that it names; else the only one there is, if it looks like an answer at all. */
  #garbage(line: string, message: string, named: number | undefined = guessId(line, line)): void {
    const looksLikeAnswer = named === undefined || named > this.#last;
    const only = looksLikeAnswer && this.#pending.size === 1 && /^\s*[{[]/.test(line);
    const own = named !== undefined && this.#pending.has(named) ? named : undefined;
    this.#deps.onStray(message, { line: line.slice(0, shownLength) });
    if (own !== undefined) this.#fault(own, message);
    else if (only) for (const one of [...this.#pending.keys()]) this.#fault(one, message);
  }

  #fault(own: number, message: string, more: Readonly<Record<string, unknown>> = {}): void {
    const pending = this.#take(own);
    if (pending === undefined) return;
    pending.hearer.onAnswer(faultAnswer(pending.id, message, more));
  }

  #take(own: number): Pending | undefined {
    const pending = this.#pending.get(own);
    if (pending === undefined) return undefined;
    this.#pending.delete(own);
    return pending;
  }
}

/** What changes for everybody who is connected. */
function isForAll(method: string): boolean {
  return method.endsWith('/list_changed') || method === 'notifications/resources/updated';
}

function isSameClient(one: Asker, other: Asker): boolean {
  return (
    one.session === other.session && one.identity.sub === other.identity.sub && one.identity.sid === other.identity.sid
  );
}

function progressTokenOf({ value }: JsonRpcMessage): RequestId | undefined {
  const { params } = value;
  const meta = isRecord(params) ? params['_meta'] : undefined;
  const token = isRecord(meta) ? meta['progressToken'] : undefined;
  return typeof token === 'string' || typeof token === 'number' ? token : undefined;
}

function withProgressToken(request: JsonRpcMessage, progressToken: number): JsonRpcMessage {
  const { params } = request;
  const meta = isRecord(params['_meta']) ? params['_meta'] : {};
  return request.withParams({ ...params, _meta: { ...meta, progressToken } });
}

/** The id of an answer of which only the beginning or the end can be trusted. */
function guessId(head: string, tail: string): number | undefined {
  const found =
    /^\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,15})\b/.exec(head) ??
    /^\s*\{\s*"id"\s*:\s*(\d{1,15})\b/.exec(head) ??
    /[,{]\s*"id"\s*:\s*(\d{1,15})\s*\}\s*$/.exec(tail.slice(-256));
  return found === null ? undefined : Number(found[1]);
}
