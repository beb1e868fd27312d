import type { Asker, Backend, PendingRequest } from '../backend.ts';
import { JsonRpcMessage } from '../message.ts';
import { toModernParams } from './envelope.ts';
import { asObject, without } from './json.ts';
import { asModern, senderOf } from './legacy-call.ts';
import { metaKey } from './revisions.ts';
import { type Filter, isChange } from './subscriptions.ts';

/** How long to wait before a subscription that broke is taken out anew, in ms; it doubles with each failure. */
const retryMs = { first: 500, most: 60_000 };

interface Setting {
  readonly ready: () => void;
  readonly refused: (message: string) => void;
}

/**
 * One `subscriptions/listen` at a modern server, kept open for legacy clients, who subscribe once and are told for as long
 * as their session lasts. What it listens for can be changed: the new one is open before the old one is let go.
 */
export class Listener {
  readonly #backend: Backend;
  readonly #changed: (change: JsonRpcMessage) => void;
  #current: PendingRequest | undefined;
  #retry: NodeJS.Timeout | undefined;
  #nextId = 1;
  #failures = 0;

  constructor(backend: Backend, changed: (change: JsonRpcMessage) => void) {
    this.#backend = backend;
    this.#changed = changed;
  }

  get open(): boolean {
    return this.#current !== undefined || this.#retry !== undefined;
  }

  set(filter: Filter, asker: Asker, setting?: Setting): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const before = this.#current;
    const id = `listen-${this.#nextId}`;
    this.#nextId += 1;
    let known = false;
    const params = toModernParams({ notifications: filter }, senderOf(asker, undefined));
    const request = JsonRpcMessage.request(id, 'subscriptions/listen', params);
    const pending = this.#backend.request(request, asModern(asker), {
      onMessage: (message) => {
        if (message.method === 'notifications/subscriptions/acknowledged') {
          known = true;
          this.#failures = 0;
          before?.cancel();
          setting?.ready();
        } else if (isChange(message.method) && this.#current === pending) this.#changed(plain(message));
      },
      onAnswer: (answer) => {
        if (this.#current !== pending) return;
        const { error } = answer.value as { error?: { message?: unknown } };
        this.#current = known ? undefined : before;
        if (known) this.#again(filter, asker);
        else setting?.refused(String(error?.message ?? 'The server does not tell of that resource.'));
      },
    });
    this.#current = pending;
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#current?.cancel();
    this.#current = undefined;
  }

  /** The stream broke or the server ended it: a legacy client would not know, so it is taken out anew. */
  #again(filter: Filter, asker: Asker): void {
    const wait = Math.min(retryMs.most, retryMs.first * 2 ** this.#failures);
    this.#failures += 1;
    this.#retry = setTimeout(() => {
      this.set(filter, asker, { ready: () => undefined, refused: () => this.#again(filter, asker) });
    }, wait);
    this.#retry.unref();
  }
}

/** A change without the mark of the subscription that it came by. */
function plain(change: JsonRpcMessage): JsonRpcMessage {
  const meta = without(asObject(change.params['_meta']), metaKey.subscriptionId, metaKey.serverInfo);
  const params = without(change.params, '_meta');
  return change.withParams(Object.keys(meta).length === 0 ? params : { ...params, _meta: meta });
}
