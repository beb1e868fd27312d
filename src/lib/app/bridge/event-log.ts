/** One event of a stream of a session, kept in case its client comes back for it. */
export interface LoggedEvent {
  readonly stream: number;
  readonly number: number;
  /** JSON text of the message. */
  readonly text: string;
}

/** Which event of which stream. */
export type EventPlace = Pick<LoggedEvent, 'stream' | 'number'>;

const eventsLimit = 256;
const charactersLimit = 1024 * 1024;

/** The last events of one session (MCP 2025-11-25, Streamable HTTP, resumability), bounded in number and size. */
export class EventLog {
  readonly #events: LoggedEvent[] = [];
  #characters = 0;
  #last = 0;

  /** @returns the event's place, under which it may be asked for */
  add(stream: number, text: string): EventPlace {
    this.#last += 1;
    const event = { stream, number: this.#last, text };
    // One that is too large to keep would push out all others.
    if (text.length > charactersLimit) return event;
    this.#events.push(event);
    this.#characters += text.length;
    while (this.#events.length > eventsLimit || this.#characters > charactersLimit) {
      this.#characters -= this.#events.shift()?.text.length ?? 0;
    }
    return event;
  }

  /** What came on the same stream after an event; what was dropped meanwhile is missing. */
  after({ stream, number }: EventPlace): LoggedEvent[] {
    return this.#events.filter((event) => event.stream === stream && event.number > number);
  }
}

/** What a client sends as Last-Event-ID. */
export function eventId({ stream, number }: EventPlace): string {
  return `${stream}-${number}`;
}

/** @returns undefined for what is no id of ours */
export function parseEventId(text: string): EventPlace | undefined {
  const found = /^(\d{1,15})-(\d{1,15})$/.exec(text);
  return found === null ? undefined : { stream: Number(found[1]), number: Number(found[2]) };
}
