import type { Asker, Backend, BackendListener, Hearer, PendingRequest, Translated } from '../backend.ts';
import { JsonRpcMessage } from '../message.ts';
import { toInitialized } from './discovery.ts';
import { isLogLevel } from './envelope.ts';
import { type Answer, asObject, failed, type Json } from './json.ts';
import { LegacyCall, senderOf } from './legacy-call.ts';
import { Listener } from './listener.ts';
import { Questions } from './questions.ts';
import { errorCode, isForeign } from './revisions.ts';
import { allLists } from './subscriptions.ts';

const nothingPending: PendingRequest = { cancel: () => undefined };

/** What a legacy session is, to a server that knows of none. */
interface Session {
  logLevel: string | undefined;
  /** The addresses that it has subscribed to. */
  readonly uris: Set<string>;
  readonly resources: Listener;
}

/** A modern server as clients of 2024-11-05 to 2025-11-25 see it. */
export class LegacyOverModern implements Translated {
  readonly era = 'legacy';
  readonly initialized: Json;
  readonly hears: BackendListener;
  readonly #backend: Backend;
  readonly #listener: BackendListener;
  readonly #questions = new Questions();
  readonly #sessions = new Map<string, Session>();
  readonly #lists: Listener;

  constructor(backend: Backend, listener: BackendListener) {
    this.#backend = backend;
    this.#listener = listener;
    this.initialized = toInitialized(backend.initialized, undefined);
    this.#lists = new Listener(backend, (change) => listener.onMessage(change));
    this.hears = {
      // A modern server has nothing to say beside what it was asked for.
      onMessage: () => undefined,
      onEnd: (reason) => listener.onEnd(reason),
    };
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const { method, params } = request;
    if (isForeign(method, 'legacy')) return this.#unknown(request, hearer);
    switch (method) {
      case 'initialize':
        return answer(request, hearer, { result: toInitialized(this.#backend.initialized, params['protocolVersion']) });
      case 'ping':
        return answer(request, hearer, { result: {} });
      case 'logging/setLevel':
        return this.#setLevel(request, asker, hearer);
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        return this.#subscribe(request, asker, hearer);
      default: {
        const logLevel = asker.session === undefined ? undefined : this.#sessions.get(asker.session)?.logLevel;
        const deps = { backend: this.#backend, questions: this.#questions };
        return new LegacyCall(deps, request, asker, senderOf(asker, logLevel), hearer);
      }
    }
  }

  notify(notification: JsonRpcMessage, asker: Asker): void {
    // Of what a legacy client notifies, a modern server only wants to know cancellations, which come another way.
    if (notification.method !== 'notifications/initialized' || asker.session === undefined) return;
    this.#session(asker.session);
    const filter = allLists(asObject(this.#backend.initialized['capabilities']));
    if (Object.keys(filter).length > 0 && !this.#lists.open) this.#lists.set(filter, asker);
  }

  respond(response: JsonRpcMessage, asker: Asker): void {
    this.#questions.hear(response, asker);
  }

  forget(session: string): void {
    this.#sessions.get(session)?.resources.close();
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#lists.close();
  }

  /** The backend behind is its owner's to close. */
  async close(): Promise<void> {
    for (const session of [...this.#sessions.keys()]) this.forget(session);
  }

  #setLevel(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const { level } = request.params;
    if (asObject(this.#backend.initialized['capabilities'])['logging'] === undefined) {
      return this.#unknown(request, hearer);
    }
    if (!isLogLevel(level)) {
      return answer(request, hearer, failed(errorCode.invalidParams, 'params.level is no level of logging.'));
    }
    if (asker.session !== undefined) this.#session(asker.session).logLevel = level;
    return answer(request, hearer, { result: {} });
  }

  #subscribe(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const { uri } = request.params;
    const resources = asObject(asObject(this.#backend.initialized['capabilities'])['resources']);
    if (resources['subscribe'] !== true) return this.#unknown(request, hearer);
    if (typeof uri !== 'string') {
      return answer(request, hearer, failed(errorCode.invalidParams, 'params.uri must be the address of a resource.'));
    }
    if (asker.session === undefined) {
      const message = 'A subscription belongs to a session: begin with initialize.';
      return answer(request, hearer, failed(errorCode.invalidRequest, message));
    }
    const session = this.#session(asker.session);
    if (request.method === 'resources/subscribe') session.uris.add(uri);
    else session.uris.delete(uri);
    if (session.uris.size === 0) {
      session.resources.close();
      return answer(request, hearer, { result: {} });
    }
    const refused = (message: string) => {
      session.uris.delete(uri);
      answer(request, hearer, failed(errorCode.invalidParams, message));
    };
    session.resources.set({ resourceSubscriptions: [...session.uris] }, asker, {
      ready: () => answer(request, hearer, { result: {} }),
      refused,
    });
    return nothingPending;
  }

  #session(id: string): Session {
    let session = this.#sessions.get(id);
    if (session === undefined) {
      const resources = new Listener(this.#backend, (change) => this.#listener.onMessage(change, id));
      session = { logLevel: undefined, uris: new Set(), resources };
      this.#sessions.set(id, session);
    }
    return session;
  }

  #unknown(request: JsonRpcMessage, hearer: Hearer): PendingRequest {
    return answer(request, hearer, failed(errorCode.methodNotFound, `The server does not know ${request.method}.`));
  }
}

function answer({ id }: JsonRpcMessage, hearer: Hearer, what: Answer): PendingRequest {
  queueMicrotask(() => hearer.onAnswer(JsonRpcMessage.of({ jsonrpc: '2.0', id, ...what })));
  return nothingPending;
}
