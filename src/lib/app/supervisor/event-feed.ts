import type { Database } from '../../infra/database/connection.ts';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import { eventsAfter, newestEventId } from './event-rows.ts';
import type { ServiceEvent } from './event-types.ts';

const pageSize = 500;
const retryMs = 500;

export interface FollowFeed {
  /** Id of the last event that is known already. */
  readonly after: number;
  readonly signal: AbortSignal;
  /** Told when the database is away, once until it is back; the events of that time come later. */
  readonly onAway?: (error: DatabaseUnavailableError) => void;
}

/**
 * The events of an installation as they are written, for any number of readers. Each reads the rows after its last at its
 * own pace, so that a slow one costs no memory and loses nothing; those at the same place share a query.
 */
export class ServiceEventFeed {
  readonly #database: Database;
  readonly #installationId: string;
  readonly #wakers = new Set<() => void>();
  readonly #reading = new Map<number, Promise<ServiceEvent[]>>();
  readonly #closed = new AbortController();
  #listening: Promise<() => Promise<void>> | undefined;

  constructor(database: Database, installationId: string) {
    this.#database = database;
    this.#installationId = installationId;
  }

  /**
   * Where the events are now: what follows it has not happened yet.
   * @throws DatabaseUnavailableError
   */
  async position(): Promise<number> {
    await this.#listen();
    return newestEventId(this.#database, this.#installationId);
  }

  /**
   * Events in their order, at most 500 at once, until the signal fires or the feed is closed.
   * @throws DatabaseUnavailableError when the database can't be reached at the beginning
   */
  async *follow({ after, signal, onAway }: FollowFeed): AsyncGenerator<readonly ServiceEvent[], void, undefined> {
    const ended = AbortSignal.any([signal, this.#closed.signal]);
    let due = true;
    let wake = (): void => {};
    const notice = (): void => {
      due = true;
      wake();
    };
    this.#wakers.add(notice);
    ended.addEventListener('abort', notice, { once: true });
    let retry: NodeJS.Timeout | undefined;
    let away = false;
    let last = after;
    try {
      await this.#listen();
      while (!ended.aborted) {
        due = false;
        try {
          const page = await this.#page(last);
          away = false;
          last = page.at(-1)?.id ?? last;
          if (page.length > 0) yield page;
          if (page.length === pageSize) continue;
        } catch (error) {
          if (!(error instanceof DatabaseUnavailableError)) throw error;
          if (!away) onAway?.(error);
          away = true;
          retry = setTimeout(notice, retryMs);
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (due || ended.aborted) resolve();
        });
      }
    } finally {
      clearTimeout(retry);
      this.#wakers.delete(notice);
      ended.removeEventListener('abort', notice);
    }
  }

  /** Ends every reader. */
  async close(): Promise<void> {
    this.#closed.abort();
    const unlisten = await this.#listening?.catch(() => undefined); // it never listened then
    this.#listening = undefined;
    await unlisten?.();
  }

  #page(after: number): Promise<ServiceEvent[]> {
    const reading = this.#reading.get(after);
    if (reading !== undefined) return reading;
    const page = eventsAfter(this.#database, this.#installationId, after, pageSize).finally(() => {
      if (this.#reading.get(after) === page) this.#reading.delete(after);
    });
    this.#reading.set(after, page);
    return page;
  }

  #listen(): Promise<unknown> {
    this.#listening ??= this.#database
      .listen('service_events', (installation, reconnected) => {
        if (!reconnected && installation !== this.#installationId) return;
        // A query that is under way may have looked before the new row was there.
        this.#reading.clear();
        for (const wake of [...this.#wakers]) wake();
      })
      .catch((error: unknown) => {
        this.#listening = undefined; // the next reader tries again
        throw error;
      });
    return this.#listening;
  }
}
