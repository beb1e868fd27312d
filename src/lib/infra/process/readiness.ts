import { setTimeout as delay } from 'node:timers/promises';

/** Whether a process that is alive can serve right now. */
export interface Readiness {
  readonly ready: boolean;
  /** Why not, for people; no secrets. */
  readonly reason?: string;
}

export interface ReadinessOptions {
  /** How long one look may take, in ms. */
  readonly boundMs: number;
  /** How long an answer holds, in ms: whoever asks more often gets the last one. A no is soon looked at again. */
  readonly holdMs: number;
}

/** A no holds at most this long, in ms: what was missing for a moment must not count as missing for longer. */
const longestNoMs = 50;

/** Bounds a look at readiness: in time, to one at once, and in how often it is made. A look that hangs or throws means not ready. */
export class ReadinessCheck {
  readonly #look: (signal: AbortSignal) => Promise<Readiness>;
  readonly #options: ReadinessOptions;
  readonly #onError: (error: unknown) => void;
  #looking: Promise<void> | undefined;
  #answer: Readiness = { ready: false, reason: 'it has not been looked at' };
  #failing = false;
  #answeredAt = Number.NEGATIVE_INFINITY;

  /** @param onError hears what the look throws, once until it answers again */
  constructor(
    look: (signal: AbortSignal) => Promise<Readiness>,
    options: ReadinessOptions,
    onError: (error: unknown) => void,
  ) {
    this.#look = look;
    this.#options = options;
    this.#onError = onError;
  }

  /** Answers within `boundMs`, whatever the look does. */
  async current(): Promise<Readiness> {
    const { boundMs, holdMs } = this.#options;
    const held = this.#answer.ready ? holdMs : Math.min(holdMs, longestNoMs);
    if (this.#looking === undefined && performance.now() - this.#answeredAt < held) return this.#answer;
    this.#looking ??= this.#make().finally(() => {
      this.#looking = undefined;
    });
    const timer = new AbortController();
    const late = delay(boundMs, 'late' as const, { signal: timer.signal, ref: false }).catch(() => undefined);
    const first = await Promise.race([this.#looking, late]);
    timer.abort();
    return first === 'late' ? tooLate(boundMs) : this.#answer;
  }

  async #make(): Promise<void> {
    const { boundMs } = this.#options;
    const bound = AbortSignal.timeout(boundMs);
    try {
      this.#answer = await this.#look(bound);
      this.#failing = false;
    } catch (error) {
      // What ends because it is told to has not failed, it was late.
      if (!this.#failing && !bound.aborted) this.#onError(error);
      this.#failing = !bound.aborted;
      this.#answer = bound.aborted
        ? tooLate(boundMs)
        : { ready: false, reason: 'the look at it failed, the log says why' };
    }
    this.#answeredAt = performance.now();
  }
}

function tooLate(boundMs: number): Readiness {
  return { ready: false, reason: `no answer within ${boundMs} ms` };
}
