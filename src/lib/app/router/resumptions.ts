import { randomBytes } from 'node:crypto';
import type { Exchange } from './exchange.ts';

/** How many calls at most wait for their clients to come back, or have an answer for them. */
const maxCalls = 1000;
/** How long an answer is kept for a client that may not have got it, in ms. */
const keptMs = 60_000;
const form = /^r\.([0-9a-f]{12})\.([\w-]{22})\.(\d{1,9})$/;

/** A call whose client may leave and come back. */
export interface Resumable {
  readonly user: string;
  readonly server: string;
  /** As the client has it. */
  readonly session: string;
  /** Goes on for this client, from after the event of that number. @returns false when it can't; settles when it is over */
  attach(exchange: Exchange, after: number): Promise<void> | false;
}

/** Where an event belongs: the process, the call and the number of the event. */
export interface EventHandle {
  readonly owner: string;
  readonly key: string;
  readonly number: number;
}

/** What a client says it has seen last, when that is an event of a call (Last-Event-ID). */
export function eventHandle(lastEventId: unknown): EventHandle | undefined {
  const [, owner, key, number] = (typeof lastEventId === 'string' && form.exec(lastEventId)) || [];
  return owner === undefined || key === undefined ? undefined : { owner, key, number: Number(number) };
}

/**
 * The calls whose streams can be taken up again (Last-Event-ID). Clients never see the ids that a server gives to the events
 * of a call: with them an answer could come by another stream, past the audit.
 */
export class Resumptions {
  readonly #own: string;
  readonly #calls = new Map<string, Resumable>();

  /** @param own by which this process is known to the others */
  constructor(own: string) {
    this.#own = own;
  }

  /** @returns what makes the ids of its events, and a function that forgets the call after a while */
  add(call: Resumable): { readonly idOf: (number: number) => string; readonly release: () => void } {
    const key = randomBytes(16).toString('base64url');
    this.#calls.set(key, call);
    const [oldest] = this.#calls.size > maxCalls ? this.#calls.keys() : [];
    if (oldest !== undefined) this.#calls.delete(oldest);
    return {
      idOf: (number) => `r.${this.#own}.${key}.${number}`,
      release: () => void setTimeout(() => this.#calls.delete(key), keptMs).unref(),
    };
  }

  /** The call, when it is this user's at this server in this session. */
  find({ key }: EventHandle, whose: Omit<Resumable, 'attach'>): Resumable | undefined {
    const call = this.#calls.get(key);
    const same = call?.user === whose.user && call.server === whose.server && call.session === whose.session;
    return same ? call : undefined;
  }
}
