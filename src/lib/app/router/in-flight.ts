import type { SessionId } from '../../shared/ids.ts';
import type { Cancellation } from '../executor/call.ts';
import type { RequestId } from './jsonrpc.ts';

/** Which request of which client is meant. */
export interface CallKey {
  readonly server: string;
  readonly sid: SessionId;
  /** `Mcp-Session-Id` as the client sent it. */
  readonly session: string | undefined;
  readonly id: RequestId;
}

/**
 * The calls that are running, so that `notifications/cancelled` of the 2025 revisions, which comes as a request of its
 * own, finds the one it means.
 */
export class InFlight {
  readonly #calls = new Map<string, Cancellation[]>();
  #count = 0;
  #idle: (() => void) | undefined;

  get size(): number {
    return this.#count;
  }

  add(key: CallKey, cancellation: Cancellation): () => void {
    const name = nameOf(key);
    const same = this.#calls.get(name);
    if (same === undefined) this.#calls.set(name, [cancellation]);
    else same.push(cancellation);
    this.#count += 1;
    return () => {
      const calls = this.#calls.get(name) ?? [];
      if (calls.length <= 1) this.#calls.delete(name);
      else
        this.#calls.set(
          name,
          calls.filter((other) => other !== cancellation),
        );
      this.#count -= 1;
      if (this.#count === 0) this.#idle?.();
    };
  }

  /**
   * Cancels the call that is meant. Clients number their requests from zero, so two clients of one sign-in may have
   * calls of the same number; then none is cancelled, for it could be the wrong one.
   */
  cancel(key: CallKey): boolean {
    const calls = this.#calls.get(nameOf(key)) ?? [];
    if (calls.length !== 1) return false;
    calls[0]?.cancel();
    return true;
  }

  cancelAll(): void {
    for (const calls of this.#calls.values()) for (const call of calls) call.cancel();
  }

  /** Resolves when no call runs any more, or when the time is over. */
  async drained(timeoutMs: number): Promise<void> {
    if (this.#count === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
      timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }
}

function nameOf({ server, sid, session, id }: CallKey): string {
  return `${server} ${sid} ${session ?? ''} ${typeof id === 'number' ? id : JSON.stringify(id)}`;
}
