/** How much one kind of caller may ask of one group of addresses. */
export interface Quota {
  /** Group and kind: what is counted apart. */
  readonly name: string;
  readonly perSecond: number;
  /** How many at once, after a pause. */
  readonly capacity: number;
  /** A request costs this long to win back, in ms. */
  readonly costMs: number;
  /** How much may be owed at once, in ms. */
  readonly depthMs: number;
}

/** What became of one request. */
export interface Taken {
  readonly refused: boolean;
  /** In how many ms the whole allowance is back. */
  readonly owingMs: number;
}

/** Where callers' use of their quotas is kept. */
export interface Allowances {
  /** Counts one request. One that is refused costs nothing, so that who waits gets in. */
  take(quota: Quota, caller: string): Taken | Promise<Taken>;
}

export function quotaOf(name: string, perSecond: number, burst: number): Quota {
  const capacity = Math.max(1, Math.floor(perSecond * burst));
  const costMs = 1000 / perSecond;
  // Rounding must not cost the last of them.
  return { name, perSecond, capacity, costMs, depthMs: capacity * costMs + 1e-6 };
}

/** Of each quota; the callers that were longest away are forgotten first, and have their whole allowance then. */
const maxCallers = 50_000;

/** In the memory of this process: for each caller the time at which the allowance is whole again. */
export class OwnAllowances implements Allowances {
  readonly #now: () => number;
  readonly #whole = new Map<string, Map<string, number>>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number) {
    this.#now = now;
  }

  take({ name, costMs, depthMs }: Quota, caller: string): Taken {
    let whole = this.#whole.get(name);
    if (whole === undefined) {
      whole = new Map();
      this.#whole.set(name, whole);
    }
    const now = this.#now();
    const owed = Math.max((whole.get(caller) ?? 0) - now, 0);
    if (owed + costMs > depthMs) return { refused: true, owingMs: owed };
    // Back at its end: a Map keeps the order of insertion.
    whole.delete(caller);
    whole.set(caller, now + owed + costMs);
    if (whole.size > maxCallers) forgetOldest(whole);
    return { refused: false, owingMs: owed + costMs };
  }
}

/** Drops what was put into a map first. */
export function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
