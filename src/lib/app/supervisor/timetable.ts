/**
 * One timer for what many services have to do again and again: all that falls due within one grain is done in one
 * wake-up. It keeps no process alive.
 */
export class Timetable {
  readonly #grainMs: number;
  readonly #slots = new Map<number, Set<() => void>>();
  #timer: NodeJS.Timeout | undefined;
  #next = Number.POSITIVE_INFINITY;

  /** @param grainMs by how much something may come late */
  constructor(grainMs: number) {
    this.#grainMs = grainMs;
  }

  /**
   * Waits for at least `ms`. Rejects with the signal's reason when that fires first.
   * @param since from when on, on the monotonic clock: what is given the moment of its last turn keeps its interval
   * @returns the moment for which this turn was meant
   */
  pause(ms: number, signal: AbortSignal, since = performance.now()): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const earliest = Math.max(performance.now(), since + ms);
      const slot = Math.ceil(earliest / this.#grainMs);
      const due = this.#slots.get(slot) ?? new Set();
      this.#slots.set(slot, due);
      const abort = (): void => {
        due.delete(done);
        reject(signal.reason);
      };
      const done = (): void => {
        signal.removeEventListener('abort', abort);
        resolve(slot * this.#grainMs);
      };
      due.add(done);
      signal.addEventListener('abort', abort, { once: true });
      if (slot < this.#next) this.#wind(slot);
    });
  }

  #wind(slot: number): void {
    clearTimeout(this.#timer);
    this.#next = slot;
    const ms = Math.max(1, Math.ceil(slot * this.#grainMs - performance.now()));
    this.#timer = setTimeout(() => this.#turn(), ms);
    this.#timer.unref();
  }

  #turn(): void {
    const now = performance.now() / this.#grainMs;
    for (const [slot, due] of [...this.#slots]) {
      if (slot > now && due.size > 0) continue;
      this.#slots.delete(slot);
      for (const done of due) done();
    }
    this.#next = Number.POSITIVE_INFINITY;
    if (this.#slots.size > 0) this.#wind(Math.min(...this.#slots.keys()));
  }
}
