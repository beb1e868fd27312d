import { createHistogram } from 'node:perf_hooks';

const everyMs = 100;

/** What a process says of itself in the answer to a health check. */
export interface VitalSigns {
  /** 99th percentile of how much later than due the event loop came round, in ms, since the check before. */
  readonly eventLoopDelayMs: number;
  /** Resident memory of the process, in bytes. */
  readonly rssBytes: number;
}

/**
 * Measures how late the event loop is, ten times a second. Not by `monitorEventLoopDelay`: after its `reset()` it forgets a
 * stall that begins before its next tick, and checks reset it (seen with Node 24.21: 1.5 s of it came out as 7 ms).
 */
export class Vitals {
  readonly #delays = createHistogram();
  readonly #timer: NodeJS.Timeout;
  #last = performance.now();

  constructor() {
    this.#timer = setInterval(() => this.#tick(), everyMs);
    this.#timer.unref();
  }

  /** @param reset whether the next answer is about the time from now on */
  read(reset: boolean): VitalSigns {
    // The request may be handled before the timer that is as late as it is.
    const overdue = performance.now() - this.#last - everyMs;
    const delay = Math.max(this.#delays.count === 0 ? 0 : this.#delays.percentile(99) / 1000, overdue, 0);
    if (reset) this.#delays.reset();
    return { eventLoopDelayMs: Math.round(delay * 10) / 10, rssBytes: process.memoryUsage.rss() };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    // In whole microseconds, and at least one: a histogram takes nothing smaller.
    this.#delays.record(Math.max(1, Math.round((now - this.#last - everyMs) * 1000)));
    this.#last = now;
  }
}
