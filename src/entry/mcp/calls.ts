import type { Identity } from '../../lib/infra/security/identity-header.ts';

/** Which request of which client a cancellation means. */
export interface CallKey {
  readonly identity: Identity;
  /** The `mcp-session-id` header, if the client has one. */
  readonly mcpSession: string | undefined;
  /** The JSON-RPC id. */
  readonly requestId: string | number;
}

interface RunningCall {
  readonly key: string;
  readonly cancel: AbortController;
}

/**
 * The tool calls that run in this process. Serving is stateless, so a `notifications/cancelled` of the 2025 revisions
 * comes as a request of its own and has to be matched here; the 2026 revision just closes the call's connection.
 */
export class RunningCalls {
  readonly #running = new Set<RunningCall>();
  #idle: (() => void) | undefined;

  get size(): number {
    return this.#running.size;
  }

  /**
   * Runs `work` with a signal that aborts on cancellation by any way, and when the server stops.
   * @param ends what else ends the call: the caller is gone, the protocol says so
   */
  async run<T>(key: CallKey, ends: readonly AbortSignal[], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const cancel = new AbortController();
    const call: RunningCall = { key: keyOf(key), cancel };
    const end = (): void => cancel.abort();
    if (ends.some((signal) => signal.aborted)) end();
    for (const signal of ends) signal.addEventListener('abort', end, { once: true });
    this.#running.add(call);
    try {
      return await work(cancel.signal);
    } finally {
      for (const signal of ends) signal.removeEventListener('abort', end);
      this.#running.delete(call);
      if (this.#running.size === 0) this.#idle?.();
    }
  }

  /**
   * Cancels the one call that is meant. Clients number their requests from zero, so several clients on one sign-in may
   * have calls of the same number; then none is cancelled, for it could be the wrong one.
   * @returns whether a call was cancelled
   */
  cancel(key: CallKey): boolean {
    const meant = [...this.#running].filter((call) => call.key === keyOf(key));
    if (meant.length !== 1) return false;
    meant[0]?.cancel.abort();
    return true;
  }

  /** Resolves when no call runs any more: at once, by itself within `drainMs`, or after all were told to end. */
  async drain(drainMs: number, endMs: number): Promise<void> {
    if (await this.#emptyWithin(drainMs)) return;
    for (const call of this.#running) call.cancel.abort();
    await this.#emptyWithin(endMs);
  }

  async #emptyWithin(ms: number): Promise<boolean> {
    if (this.#running.size === 0) return true;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#idle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    return this.#running.size === 0;
  }
}

function keyOf({ identity, mcpSession, requestId }: CallKey): string {
  return JSON.stringify([identity.sub, identity.sid, mcpSession ?? null, requestId]);
}
