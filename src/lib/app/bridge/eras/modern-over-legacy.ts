import type { Asker, Backend, BackendListener, Hearer, PendingRequest, Translated } from '../backend.ts';
import { JsonRpcMessage } from '../message.ts';
import { serverInfoOf, toDiscovered } from './discovery.ts';
import { asObject, failed, type Json, type RpcError } from './json.ts';
import { asLegacy, ModernCall, type ModernCallDeps, type Round } from './modern-call.ts';
import { leavesPagesClosed } from './pages.ts';
import { ParkedCalls } from './parked-calls.ts';
import { readModern } from './refusal.ts';
import { errorCode } from './revisions.ts';
import { acknowledged, type Filter, isChange, lets, readFilter, stamped, subscriptionOver } from './subscriptions.ts';
import { Watched } from './watched.ts';

const nothingPending: PendingRequest = { cancel: () => undefined };

interface Listening {
  readonly request: JsonRpcMessage;
  readonly hearer: Hearer;
  readonly filter: Filter;
}

/** A legacy server as clients of 2026-07-28 see it. */
export class ModernOverLegacy implements Translated {
  readonly era = 'modern';
  readonly initialized: Json;
  readonly hears: BackendListener;
  readonly #backend: Backend;
  readonly #parked: ParkedCalls;
  readonly #watched: Watched;
  readonly #listening = new Set<Listening>();
  readonly #call: ModernCallDeps;

  constructor(backend: Backend, listener: BackendListener, parked = new ParkedCalls()) {
    this.#backend = backend;
    this.#parked = parked;
    this.#watched = new Watched(backend);
    this.initialized = toDiscovered(backend.initialized);
    const changed = (change: JsonRpcMessage) => this.#changed(change);
    this.#call = { backend, parked, serverInfo: serverInfoOf(backend.initialized), changed };
    this.hears = {
      onMessage: (message) => {
        if (isChange(message.method)) changed(message);
      },
      onEnd: (reason) => {
        this.#over();
        listener.onEnd(reason);
      },
    };
  }

  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const sender = readModern(request, asker);
    if ('error' in sender) return this.#answer(request, hearer, sender);
    if (request.method === 'server/discover') return this.#answer(request, hearer, { result: this.initialized });
    if (request.method === 'subscriptions/listen') return this.#listen(request, asLegacy(asker, sender), hearer);
    const { progressToken } = asObject(request.params['_meta']);
    return this.#make(request, asker, { id: request.id ?? 0, hearer, sender, progressToken });
  }

  #make(request: JsonRpcMessage, asker: Asker, round: Round): PendingRequest {
    const state = request.params['requestState'];
    if (state === undefined) {
      if (leavesPagesClosed(request.params)) {
        const text = 'The page that has to be opened first was not opened.';
        const error = failed(errorCode.invalidParams, text, { reason: 'page_not_opened' });
        return this.#answer(request, round.hearer, error);
      }
      const made = new ModernCall(this.#call, request, asker, round);
      return { cancel: (reason) => made.cancel(round, reason) };
    }
    const call = typeof state === 'string' ? this.#parked.take(state, request, asker) : undefined;
    if (!(call instanceof ModernCall)) {
      const message =
        'There is no call that waits under this requestState: it was answered, it has expired, or the server was started anew.';
      const hint = 'Make the call anew, without requestState and inputResponses.';
      const error = failed(errorCode.invalidParams, message, { reason: 'unknown_request_state', hint });
      return this.#answer(request, round.hearer, error);
    }
    call.resume(request.params, round);
    return { cancel: (reason) => call.cancel(round, reason) };
  }

  /** Modern clients notify of nothing that a legacy server would miss. */
  notify(): void {}

  /** Modern clients answer by making their request anew. */
  respond(): void {}

  /** The backend behind is its owner's to close. */
  async close(): Promise<void> {
    this.#over();
  }

  #listen(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest {
    const id = request.id ?? 0;
    const filter = readFilter(request.params, asObject(this.#backend.initialized['capabilities']));
    if (filter === undefined) {
      const error = failed(errorCode.invalidParams, 'params.notifications must say what to listen for.');
      return this.#answer(request, hearer, error);
    }
    const listening: Listening = { request, hearer, filter };
    const uris = filter.resourceSubscriptions ?? [];
    this.#listening.add(listening);
    queueMicrotask(() => {
      if (!this.#listening.has(listening)) return;
      hearer.onMessage(acknowledged(filter, id));
      if (Object.keys(filter).length === 0) this.#endListening(listening);
      else this.#watched.add(uris, asker);
    });
    return {
      cancel: () => {
        if (this.#listening.delete(listening)) this.#watched.remove(uris, asker);
      },
    };
  }

  #changed(change: JsonRpcMessage): void {
    for (const { request, hearer, filter } of this.#listening) {
      if (lets(filter, change)) hearer.onMessage(stamped(change, request.id ?? 0));
    }
  }

  #over(): void {
    this.#parked.clear();
    for (const listening of [...this.#listening]) this.#endListening(listening);
  }

  #endListening(listening: Listening): void {
    this.#listening.delete(listening);
    const { request, hearer } = listening;
    hearer.onAnswer(subscriptionOver(request.id ?? 0, this.#call.serverInfo));
  }

  #answer({ id }: JsonRpcMessage, hearer: Hearer, answer: { error: RpcError } | { result: Json }): PendingRequest {
    queueMicrotask(() => hearer.onAnswer(JsonRpcMessage.of({ jsonrpc: '2.0', id, ...answer })));
    return nothingPending;
  }
}
