/** How long something may take; while a person is asked the time stands still. */
export class CallClock implements Disposable {
  readonly #controller = new AbortController();
  #leftMs: number;
  #since = 0;
  #paused = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.#leftMs = ms;
    this.#run();
  }

  /** Aborted when the time is over. */
  get over(): AbortSignal {
    return this.#controller.signal;
  }

  /** Does something that does not count. */
  async without<T>(work: () => Promise<T>): Promise<T> {
    if (this.#paused++ === 0) {
      clearTimeout(this.#timer);
      this.#leftMs -= performance.now() - this.#since;
    }
    try {
      return await work();
    } finally {
      if (--this.#paused === 0) this.#run();
    }
  }

  #run(): void {
    this.#since = performance.now();
    this.#timer = setTimeout(() => this.#controller.abort(), Math.max(0, this.#leftMs));
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
