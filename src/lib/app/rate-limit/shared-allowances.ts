import type { Queryable } from '../../infra/database/connection.ts';
import { type Allowances, forgetOldest, OwnAllowances, type Quota, quotaOf, type Taken } from './quota.ts';
import { forgetWholeAllowances, takeFromAllowance } from './repository.ts';

/** All processes together hold back this much of an allowance at most: by so much may they exceed it after a pause. */
const heldBack = 0.05;
/** What was taken ahead and not used by then is lost, in ms. */
const leaseMs = 10_000;
/** How often callers whose allowance is whole are forgotten, in ms. */
const sweepMs = 60_000;
const maxLeases = 50_000;
/** After a question that failed nobody waits for another one for this long, in ms. */
const pauseMs = 1000;

/** What this process has taken of one caller's allowance ahead of need. */
interface Lease {
  left: number;
  /** Until when what is left counts, by `now()`. */
  until: number;
  /** When the allowance will be whole, by `now()`, without what is left. */
  wholeAt: number;
  /** Before this nothing can have come free: nobody is asked, by `now()`. */
  emptyUntil: number;
  /** How many wait for the answer that is on its way. */
  waiting: number;
  asking: Promise<void> | undefined;
}

export interface SharedAllowancesOptions {
  readonly database: Queryable;
  /** How many processes count together at most. */
  readonly processes: number;
  readonly burst: number;
  /** Hears why the database could not be asked; this process counts by itself then, with its share of the rate. */
  readonly onFailure: (error: unknown) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/**
 * Allowances that several processes share, in PostgreSQL. A process takes requests ahead of need, a small part of the
 * allowance at once, so that one question to the database does for many requests; what is given was taken from everybody's,
 * so that all together never give more than there is, but for what they hold back: 5 % at most.
 */
export class SharedAllowances implements Allowances {
  readonly #options: SharedAllowancesOptions;
  readonly #now: () => number;
  readonly #leases = new Map<string, Lease>();
  readonly #own: OwnAllowances;
  readonly #shares = new Map<Quota, Quota>();
  readonly #sweeper: NodeJS.Timeout;
  /** Until when the database is not asked, by `now()`. */
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(options: SharedAllowancesOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#own = new OwnAllowances(this.#now);
    this.#sweeper = setInterval(() => {
      void forgetWholeAllowances(options.database).catch(options.onFailure);
    }, sweepMs).unref();
  }

  take(quota: Quota, caller: string): Taken | Promise<Taken> {
    if (this.#now() < this.#pausedUntil) return this.#own.take(this.#shareOf(quota), caller);
    const lease = this.#lease(`${quota.name} ${caller}`);
    return this.#fromLease(lease, quota, caller) ?? this.#ask(lease, quota, caller);
  }

  close(): void {
    clearInterval(this.#sweeper);
  }

  #lease(key: string): Lease {
    let lease = this.#leases.get(key);
    if (lease === undefined) {
      lease = { left: 0, until: 0, wholeAt: 0, emptyUntil: 0, waiting: 0, asking: undefined };
    } else {
      this.#leases.delete(key);
    }
    this.#leases.set(key, lease); // at its end: the caller that was longest away is forgotten first
    if (this.#leases.size > maxLeases) forgetOldest(this.#leases);
    return lease;
  }

  /** The answer that needs no question; undefined when there is none. */
  #fromLease(lease: Lease, quota: Quota, caller: string): Taken | undefined {
    const now = this.#now();
    if (lease.left > 0 && now < lease.until) {
      lease.left -= 1;
      const ahead = this.#ahead(quota);
      if (ahead > 1 && lease.left < ahead / 2 && now >= lease.emptyUntil) void this.#refill(lease, quota, caller);
      return this.#taken(lease, quota, false, now);
    }
    if (now < lease.emptyUntil) return this.#taken(lease, quota, true, now);
    return undefined;
  }

  async #ask(lease: Lease, quota: Quota, caller: string): Promise<Taken> {
    lease.waiting += 1;
    try {
      for (;;) {
        await this.#refill(lease, quota, caller);
        if (this.#now() < this.#pausedUntil) return this.#own.take(this.#shareOf(quota), caller);
        const taken = this.#fromLease(lease, quota, caller);
        if (taken !== undefined) return taken;
      }
    } finally {
      lease.waiting -= 1;
    }
  }

  /** Takes some from everybody's allowance; those who come meanwhile wait for the same answer. Never rejects. */
  #refill(lease: Lease, quota: Quota, caller: string): Promise<void> {
    // Begun in a turn of its own, so that all who came in this one are counted.
    lease.asking ??= Promise.resolve()
      .then(() => this.#takeAhead(lease, quota, caller))
      .finally(() => {
        lease.asking = undefined;
      });
    return lease.asking;
  }

  async #takeAhead(lease: Lease, quota: Quota, caller: string): Promise<void> {
    const ahead = this.#ahead(quota);
    const want = Math.max(lease.waiting, 1) + (ahead > 1 ? ahead - 1 : 0);
    try {
      const { granted, owingMs } = await takeFromAllowance(this.#options.database, quota, caller, want);
      const now = this.#now();
      lease.left = (now < lease.until ? lease.left : 0) + granted;
      lease.until = now + leaseMs;
      lease.wholeAt = now + owingMs;
      lease.emptyUntil = granted < want ? now + Math.max(0, owingMs + quota.costMs - quota.depthMs) : 0;
    } catch (error) {
      if (this.#now() >= this.#pausedUntil) this.#options.onFailure(error);
      this.#pausedUntil = this.#now() + pauseMs;
    }
  }

  /** How many are taken at once, ahead of need. */
  #ahead({ capacity }: Quota): number {
    return Math.max(1, Math.floor((capacity * heldBack) / this.#options.processes));
  }

  #taken(lease: Lease, { costMs }: Quota, refused: boolean, now: number): Taken {
    return { refused, owingMs: Math.max(0, lease.wholeAt - now - (refused ? 0 : lease.left * costMs)) };
  }

  /** What this process may give by itself. */
  #shareOf(quota: Quota): Quota {
    let share = this.#shares.get(quota);
    if (share === undefined) {
      share = quotaOf(quota.name, quota.perSecond / this.#options.processes, this.#options.burst);
      this.#shares.set(quota, share);
    }
    return share;
  }
}
