import { randomUUID } from 'node:crypto';
import type { SupervisorEvent, SupervisorEventBody } from './status.ts';

const kept = 1_000;

/** What happened in this supervisor, in memory: who listens late is told the past first. */
export class Journal {
  readonly #events: SupervisorEvent[] = [];
  readonly #listeners = new Set<(event: SupervisorEvent) => void>();
  /** Tells the journals of several supervisors apart: each counts from 1. */
  readonly id = randomUUID().slice(0, 8);
  #seq = 0;

  add(body: SupervisorEventBody): SupervisorEvent {
    this.#seq += 1;
    const event = { seq: this.#seq, at: new Date().toISOString(), ...body } as SupervisorEvent;
    this.#events.push(event);
    if (this.#events.length > kept) this.#events.shift();
    for (const listener of this.#listeners) listener(event);
    return event;
  }

  /** What an event is called outside, so that a listener can come back and go on after it. */
  nameOf({ seq }: SupervisorEvent): string {
    return `${this.id}.${seq}`;
  }

  /**
   * The last events, oldest first.
   * @param after the name of the last event that is known; of another supervisor's nothing is
   */
  past(after?: string): readonly SupervisorEvent[] {
    const known = after?.startsWith(`${this.id}.`) === true ? Number(after.slice(this.id.length + 1)) : 0;
    return this.#events.filter(({ seq }) => !(seq <= known));
  }

  /** @returns a function that unsubscribes */
  listen(listener: (event: SupervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
