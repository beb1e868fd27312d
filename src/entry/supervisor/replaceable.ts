/**
 * What is made at the first need, used by several at once, and replaced when it is out of date. The old one is closed when
 * those who began while it was there are done: whoever has it in hand does not lose its connections.
 */
export class Replaceable<T> {
  readonly #make: () => Promise<T>;
  readonly #close: (value: T) => Promise<void>;
  readonly #users = new Set<Promise<unknown>>();
  #current: Promise<T> | undefined;

  constructor(make: () => Promise<T>, close: (value: T) => Promise<void>) {
    this.#make = make;
    this.#close = close;
  }

  /** To be called within {@link during}. @throws what making it throws; the next one tries again */
  get(): Promise<T> {
    if (this.#current !== undefined) return this.#current;
    const made = this.#make();
    this.#current = made;
    made.catch(() => {
      if (this.#current === made) this.#current = undefined;
    });
    return made;
  }

  async during<R>(work: () => Promise<R>): Promise<R> {
    const running = work();
    this.#users.add(running);
    try {
      return await running;
    } finally {
      this.#users.delete(running);
    }
  }

  /** From now on there is none until somebody needs one. Resolves when the old one is closed. */
  async drop(): Promise<void> {
    const old = this.#current;
    this.#current = undefined;
    if (old === undefined) return;
    await Promise.allSettled([...this.#users]);
    const made = await old.catch(() => undefined); // what was never made needs no closing
    if (made !== undefined) await this.#close(made);
  }
}
