import type { SupervisorEvent, SupervisorEventBody } from './status.ts';

const kept = 1_000;

/** What happened in this supervisor, in memory: who listens late is told the past first. */
export class Journal {
  readonly #events: SupervisorEvent[] = [];
  readonly #listeners = new Set<(event: SupervisorEvent) => void>();
  #seq = 0;

  add(body: SupervisorEventBody): SupervisorEvent {
    this.#seq += 1;
    const event = { seq: this.#seq, at: new Date().toISOString(), ...body } as SupervisorEvent;
    this.#events.push(event);
    if (this.#events.length > kept) this.#events.shift();
    for (const listener of this.#listeners) listener(event);
    return event;
  }

  /** The last events, oldest first. */
  past(): readonly SupervisorEvent[] {
    return [...this.#events];
  }

  /** @returns a function that unsubscribes */
  listen(listener: (event: SupervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
