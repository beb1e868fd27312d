import type { SupervisionPolicy } from './policy.ts';

/** What to do about a death: another try after a pause, or none. */
export type Verdict = { readonly retryInMs: number } | { readonly giveUp: string };

/** EX_CONFIG of sysexits.h: a child says that its configuration is at fault, which another start does not change. */
export const configurationExitCode = 78;

/**
 * Counts the deaths of one service. Times are milliseconds of the monotonic clock, so that a wall clock that jumps
 * causes no burst of restarts. What was ready and dies for the first time is started again without a pause, as Kubernetes
 * does (Pod lifecycle, "Container restarts"): the pauses are for what dies again before it has been ready for long enough.
 */
export class Restarts {
  readonly #policy: SupervisionPolicy;
  readonly #random: () => number;
  #deaths = 0;
  #pauses = 0;
  #unready: number[] = [];
  #late = 0;

  constructor(policy: SupervisionPolicy, random: () => number = Math.random) {
    this.#policy = policy;
    this.#random = random;
  }

  /** Somebody started it on purpose: all is forgiven. */
  reset(): void {
    this.#deaths = 0;
    this.#pauses = 0;
    this.#unready = [];
    this.#late = 0;
  }

  /**
   * @param now when it died
   * @param readySince when that run became ready; `undefined` when it never did
   */
  died(now: number, readySince: number | undefined): Verdict {
    const { crashLimit, crashWindowMs, resetAfterReadyMs } = this.#policy;
    if (readySince === undefined) {
      this.#unready = [...this.#unready.filter((at) => now - at < crashWindowMs), now];
      if (this.#unready.length >= crashLimit) {
        return { giveUp: `it ended ${crashLimit} times within ${crashWindowMs / 1000} s before it was ready` };
      }
    } else if (now - readySince >= resetAfterReadyMs) {
      this.reset();
    }
    this.#deaths += 1;
    return { retryInMs: readySince !== undefined && this.#deaths === 1 ? 0 : this.#pause() };
  }

  /**
   * A restart of what had been ready did not become so in time and was ended: it was stopped by something outside, or its
   * machine is overloaded. Counted without a window, since one such try may take longer than all of that.
   */
  late(): Verdict {
    this.#late += 1;
    const { crashLimit } = this.#policy;
    if (this.#late >= crashLimit) return { giveUp: `that was so ${crashLimit} times in a row` };
    return { retryInMs: this.#pause() };
  }

  /** A run became ready. */
  ready(): void {
    this.#late = 0;
  }

  /** It could not even be started, for something that may pass: no crash of its own, and so no end to the tries. */
  notStarted(): Verdict {
    return { retryInMs: this.#pause() };
  }

  #pause(): number {
    const { backoffMinMs, backoffMaxMs, backoffJitter } = this.#policy;
    const pause = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#pauses, 30));
    this.#pauses += 1;
    return Math.round(pause * (1 + backoffJitter * (2 * this.#random() - 1)));
  }
}
