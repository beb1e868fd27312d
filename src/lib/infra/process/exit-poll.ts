import { hasCode, isAlive, type ProcessIdentity } from './identity.ts';
import { isShortage } from './shortage.ts';

/** A number is given to another process, or left to a zombie, so seldom that not each look has to tell them apart. */
const lookCloselyEvery = 8;

interface Awaited {
  readonly identity: ProcessIdentity;
  readonly gone: () => void;
}

/**
 * Finds out when processes end that are nobody's children here: one timer for all of them, and a system call for each.
 * Every eighth look, and the first, goes by the whole identity. It keeps no process alive.
 */
export class ExitPoll {
  readonly #everyMs: number;
  readonly #awaited = new Set<Awaited>();
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  /** @param everyMs how often it looks */
  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** Resolves when that very process has ended. Never rejects. */
  gone(identity: ProcessIdentity): Promise<void> {
    return new Promise((resolve) => {
      const awaited = { identity, gone: resolve };
      this.#awaited.add(awaited);
      this.#timer ??= setInterval(() => this.#look(), this.#everyMs).unref();
      void this.#lookClosely(awaited);
    });
  }

  #look(): void {
    this.#looks += 1;
    const closely = this.#looks % lookCloselyEvery === 0;
    for (const awaited of this.#awaited) {
      if (!exists(awaited.identity.pid)) this.#over(awaited);
      else if (closely) void this.#lookClosely(awaited);
    }
  }

  async #lookClosely(awaited: Awaited): Promise<void> {
    try {
      if (!(await isAlive(awaited.identity))) this.#over(awaited);
    } catch (error) {
      // While we are short of descriptors nothing is known: the next look tells.
      if (!isShortage(error)) throw error;
    }
  }

  #over(awaited: Awaited): void {
    this.#awaited.delete(awaited);
    awaited.gone();
    if (this.#awaited.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Whether any process has this number; kill(2) with signal 0 sends none. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}
