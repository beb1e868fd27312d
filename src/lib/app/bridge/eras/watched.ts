import type { Asker, Backend } from '../backend.ts';
import { JsonRpcMessage } from '../message.ts';

/** The resources that listeners watch at a legacy server: one subscription there for each user, however many listen here. */
export class Watched {
  readonly #backend: Backend;
  readonly #count = new Map<string, number>();
  #nextId = 1;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  add(uris: readonly string[], asker: Asker): void {
    for (const uri of uris) {
      const count = this.#count.get(key(uri, asker)) ?? 0;
      this.#count.set(key(uri, asker), count + 1);
      if (count === 0) this.#send('resources/subscribe', uri, asker);
    }
  }

  remove(uris: readonly string[], asker: Asker): void {
    for (const uri of uris) {
      const count = this.#count.get(key(uri, asker)) ?? 0;
      if (count > 1) {
        this.#count.set(key(uri, asker), count - 1);
      } else if (count === 1) {
        this.#count.delete(key(uri, asker));
        this.#send('resources/unsubscribe', uri, asker);
      }
    }
  }

  #send(method: string, uri: string, asker: Asker): void {
    const id = `watch-${this.#nextId}`;
    this.#nextId += 1;
    // A server that refuses will tell of nothing: the listener hears the same of a resource that never changes.
    const hearer = { onMessage: () => undefined, onAnswer: () => undefined };
    this.#backend.request(JsonRpcMessage.request(id, method, { uri }), asker, hearer);
  }
}

function key(uri: string, { identity }: Asker): string {
  return `${identity.sub} ${uri}`;
}
