import type { ExecutionId } from '../../shared/ids.ts';
import type { Cancellation } from '../executor/call.ts';
import type { CallClient, CallUpstream, HeldAnswer } from './call-upstream.ts';
import type { Exchange } from './exchange.ts';

export interface LiveCallOptions {
  readonly cancellation: Cancellation;
  /** Gives an answer that was recorded. */
  readonly give: (exchange: Exchange, answer: HeldAnswer, executionId: ExecutionId) => void;
  readonly clientOf: (exchange: Exchange) => CallClient;
}

interface Running {
  readonly upstream: CallUpstream;
  /** Takes the server's stream up again after an event. */
  readonly reopen: (eventId: string) => void;
}

/**
 * A call and the client that waits for it. Where the server numbers its events a client that leaves has not taken the call
 * back (MCP 2025-11-25, "Resumability and Redelivery"): it may come back by another request and gets what is missing. The
 * call is one all the time: it has one intent, and its outcome is recorded when there is one, whoever listens.
 */
export class LiveCall {
  readonly #options: LiveCallOptions;
  readonly #onClose = () => this.#left();
  #exchange: Exchange;
  #running: Running | undefined;
  #recorded: { readonly answer: HeldAnswer; readonly executionId: ExecutionId } | undefined;

  constructor(exchange: Exchange, options: LiveCallOptions) {
    this.#exchange = exchange;
    this.#options = options;
    exchange.res.once('close', this.#onClose);
  }

  /** Of the client that waits now, or did last. */
  get exchange(): Exchange {
    return this.#exchange;
  }

  started(running: Running): void {
    this.#running = running;
  }

  /** Its answer is recorded and may be given. */
  answered(answer: HeldAnswer, executionId: ExecutionId): void {
    this.#recorded = { answer, executionId };
    this.over();
    this.#options.give(this.#exchange, answer, executionId);
  }

  over(): void {
    this.#exchange.res.off('close', this.#onClose);
  }

  /** Goes on for this client. @returns false when it can't; settles when the client has left or has its answer */
  attach(exchange: Exchange, after: number): Promise<void> | false {
    const { res } = exchange;
    const eventId = this.#running?.upstream.eventId(after);
    if (this.#running === undefined || eventId === undefined) return false;
    const { upstream, reopen } = this.#running;
    if (this.#recorded === undefined && !upstream.resumable) return false;
    const closed = new Promise<void>((resolve) => res.once('close', resolve));
    if (this.#recorded !== undefined) {
      this.#options.give(exchange, this.#recorded.answer, this.#recorded.executionId);
      return closed;
    }
    const before = this.#exchange.res;
    before.off('close', this.#onClose);
    this.#exchange = exchange;
    res.once('close', this.#onClose);
    upstream.resume(this.#options.clientOf(exchange));
    before.end();
    reopen(eventId);
    return closed;
  }

  #left(): void {
    if (this.#running?.upstream.resumable) this.#running.upstream.suspend();
    else this.#options.cancellation.cancel();
  }
}
