import { CancelledError, TimeoutError, UpstreamUnavailableError } from '../shared/errors.ts';

export interface SlotLimits {
  /** Most that run at once. */
  readonly slots: number;
  /** Most that wait for their turn; who comes then is refused. */
  readonly waiting: number;
}

export interface SlotRequest {
  /** Who asks: one caller gets at most half of the slots and half of the line, so that others get through. */
  readonly caller: string;
  /** How long to wait, in ms. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

interface Waiter {
  readonly caller: string;
  readonly admit: () => void;
}

/** Admits a bounded number at once; the rest wait in a line of bounded length, first come first served. */
export class Slots {
  readonly #limits: SlotLimits;
  readonly #running = new Map<string, number>();
  readonly #line = new Set<Waiter>();
  #taken = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /**
   * Waits for a slot.
   * @returns gives the slot back; calling it again does nothing
   * @throws UpstreamUnavailableError when the line is full; TimeoutError, CancelledError when the wait ended first
   */
  async take(request: SlotRequest): Promise<() => void> {
    if (request.signal.aborted) throw new CancelledError('Cancelled before it started');
    if (!this.#isFree(request.caller)) await this.#wait(request);
    else this.#occupy(request.caller);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#release(request.caller);
    };
  }

  #wait({ caller, timeoutMs, signal }: SlotRequest): Promise<void> {
    const own = [...this.#line].filter((waiter) => waiter.caller === caller).length;
    if (this.#line.size >= this.#limits.waiting || own >= share(this.#limits.waiting)) {
      throw new UpstreamUnavailableError(
        `${this.#taken} commands are running and ${this.#line.size} are waiting, ${own} of them yours`,
        { hint: 'Nothing was run. Wait for the answers that are under way, then try again' },
      );
    }
    return new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        this.#line.delete(waiter);
      };
      const onAbort = (): void => {
        leave();
        reject(new CancelledError('Cancelled before it started'));
      };
      const timer = setTimeout(() => {
        leave();
        const message = `The command had no turn within ${timeoutMs} ms: too many others are running. Nothing was run`;
        reject(new TimeoutError(message, { hint: 'Try again in a moment, or give it more time with timeout_ms' }));
      }, timeoutMs);
      const admit = (): void => {
        leave();
        this.#occupy(caller);
        resolve();
      };
      const waiter: Waiter = { caller, admit };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#line.add(waiter);
    });
  }

  #isFree(caller: string): boolean {
    return this.#taken < this.#limits.slots && (this.#running.get(caller) ?? 0) < share(this.#limits.slots);
  }

  #occupy(caller: string): void {
    this.#taken += 1;
    this.#running.set(caller, (this.#running.get(caller) ?? 0) + 1);
  }

  #release(caller: string): void {
    this.#taken -= 1;
    const left = (this.#running.get(caller) ?? 1) - 1;
    if (left === 0) this.#running.delete(caller);
    else this.#running.set(caller, left);
    // The first in the line may be kept back by the share of its caller; whoever comes behind need not be.
    const next = [...this.#line].find((waiter) => this.#isFree(waiter.caller));
    next?.admit();
  }
}

function share(whole: number): number {
  return Math.max(1, Math.floor(whole / 2));
}
