import { type InterruptSignal, signalExitCodes } from './exit.ts';

const signals = Object.keys(signalExitCodes) as InterruptSignal[];

const patience = 2;

/** Nobody presses a key twice in this time, in ms. */
const sameSignalMs = 250;

/**
 * Listens for the signals that ask a command to end. Dispose of it to give the signals back their default action. The
 * same signal again within 250 ms is the same one: npm passes on a Ctrl-C that the terminal has sent to us already.
 */
export class Interrupts implements Disposable {
  readonly #controller = new AbortController();
  readonly #impatient = new AbortController();
  readonly #listeners = new Map<InterruptSignal, () => void>();
  #first: InterruptSignal | undefined;

  /** @param onSignal called with the count, from 1, at each signal */
  constructor(onSignal: (count: number, signal: InterruptSignal) => void = () => {}) {
    let count = 0;
    for (const signal of signals) {
      let counted = Number.NEGATIVE_INFINITY;
      const listener = () => {
        const now = performance.now();
        if (now - counted < sameSignalMs) return;
        counted = now;
        count += 1;
        this.#first ??= signal;
        this.#controller.abort();
        if (count > patience) this.#impatient.abort();
        onSignal(count, signal);
      };
      this.#listeners.set(signal, listener);
      process.on(signal, listener);
    }
  }

  /** Aborted at the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborted at the third signal: the first asked, the second insisted, and whoever was told did not come to an end. */
  get impatient(): AbortSignal {
    return this.#impatient.signal;
  }

  /** The signal that came first. */
  get first(): InterruptSignal | undefined {
    return this.#first;
  }

  /** What a process that ended on the first signal's account exits with; 0 when none came. */
  get exitCode(): number {
    return this.#first === undefined ? 0 : signalExitCodes[this.#first];
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener);
  }
}
