import { type InterruptSignal, signalExitCodes } from './exit.ts';

const signals = Object.keys(signalExitCodes) as InterruptSignal[];

const patience = 2;

/** Listens for the signals that ask a command to end. Dispose of it to give the signals back their default action. */
export class Interrupts implements Disposable {
  readonly #controller = new AbortController();
  readonly #impatient = new AbortController();
  readonly #listeners = new Map<InterruptSignal, () => void>();
  #first: InterruptSignal | undefined;

  /** @param onSignal called with the count, from 1, at each signal */
  constructor(onSignal: (count: number, signal: InterruptSignal) => void = () => {}) {
    let count = 0;
    for (const signal of signals) {
      const listener = () => {
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
