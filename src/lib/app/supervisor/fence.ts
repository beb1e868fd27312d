import type { DatabaseUnavailableError } from '../../shared/errors.ts';

/**
 * The right to act: to start and to end services that are rows. It is held while the database confirms our epoch,
 * suspended while the database is away (another supervisor might be taking over unseen), lost for good once there is a
 * newer epoch.
 */
export type FenceState = 'held' | 'suspended' | 'lost';

export class Fence {
  #state: FenceState = 'suspended';
  #reason: DatabaseUnavailableError | undefined;
  readonly #listeners = new Set<(state: FenceState) => void>();

  get state(): FenceState {
    return this.#state;
  }

  /** Why it is suspended. */
  get reason(): DatabaseUnavailableError | undefined {
    return this.#reason;
  }

  hold(): void {
    this.#set('held', undefined);
  }

  suspend(reason?: DatabaseUnavailableError): void {
    this.#set('suspended', reason);
  }

  lose(): void {
    this.#set('lost', undefined);
  }

  /** @returns a function that unsubscribes */
  onChange(listener: (state: FenceState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves once it is held; never when it is lost. Rejects with the signal's reason when that fires first. */
  held(signal?: AbortSignal): Promise<void> {
    if (this.#state === 'held') return Promise.resolve();
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        off();
        signal?.removeEventListener('abort', abort);
      };
      const abort = (): void => {
        finish();
        reject(signal?.reason);
      };
      const off = this.onChange((state) => {
        if (state !== 'held') return;
        finish();
        resolve();
      });
      if (signal?.aborted === true) abort();
      else signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Resolves when it is lost. */
  lost(): Promise<void> {
    if (this.#state === 'lost') return Promise.resolve();
    return new Promise((resolve) => {
      this.onChange((state) => {
        if (state === 'lost') resolve();
      });
    });
  }

  #set(state: FenceState, reason: DatabaseUnavailableError | undefined): void {
    if (this.#state === 'lost' || (this.#state === state && state !== 'suspended')) return;
    const changed = this.#state !== state;
    this.#state = state;
    this.#reason = reason;
    if (changed) for (const listener of [...this.#listeners]) listener(state);
  }
}
