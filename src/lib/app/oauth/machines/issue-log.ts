import { type IdentityEvent, recordIdentityEvents } from '../../../domain/auth/index.ts';
import type { Queryable } from '../../../infra/database/connection.ts';
import { AuditUnavailableError } from '../../../shared/errors.ts';

const flushEveryMs = 1000;
/** How many ids of tokens stand in one row; more make another. */
const idsPerRow = 100;
/** Rows that wait; when the database takes none, nothing more is issued. */
const rowLimit = 5000;

interface Pending {
  readonly event: Omit<IdentityEvent, 'type' | 'data'> & { readonly data: Record<string, string | readonly string[]> };
  readonly tokens: string[];
}

/** The record of tokens that programs get for themselves: many a second, so one row tells of up to a hundred alike. */
export class IssueLog {
  readonly #database: Queryable;
  readonly #open = new Map<string, Pending>();
  #full: Pending[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** @throws AuditUnavailableError when what is waiting could not be written for too long */
  add(event: Pending['event'], jti: string): void {
    if (this.#full.length + this.#open.size >= rowLimit) {
      throw new AuditUnavailableError('No token is issued: the record of those before could not be written');
    }
    const key = `${event.clientId} ${event.sessionId} ${event.resource} ${event.data['scope']} ${event.address}`;
    let pending = this.#open.get(key);
    if (pending === undefined) {
      pending = { event, tokens: [] };
      this.#open.set(key, pending);
    }
    pending.tokens.push(jti);
    if (pending.tokens.length >= idsPerRow) {
      this.#open.delete(key);
      this.#full.push(pending);
    }
    this.#timer ??= setTimeout(() => void this.flush().catch(() => undefined), flushEveryMs).unref();
  }

  /** Writes what is waiting; what can't be written waits on. @throws DatabaseUnavailableError */
  flush(): Promise<void> {
    const next = this.#writing.then(
      () => this.#write(),
      () => this.#write(),
    );
    this.#writing = next;
    return next;
  }

  async #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const rows = [...this.#full, ...this.#open.values()];
    this.#full = [];
    this.#open.clear();
    const events = rows.map(({ event, tokens }) => ({
      ...event,
      type: 'token_issued' as const,
      data: { ...event.data, count: tokens.length, tokens },
    }));
    let at = 0;
    try {
      for (; at < events.length; at += 200) {
        await recordIdentityEvents(this.#database, events.slice(at, at + 200));
      }
    } catch (error) {
      this.#full = [...rows.slice(at), ...this.#full]; // what was written is not written again
      this.#timer ??= setTimeout(() => void this.flush().catch(() => undefined), flushEveryMs).unref();
      throw error;
    }
  }
}
