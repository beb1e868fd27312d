import type { SessionTransport } from '../../domain/mcp/index.ts';
import type { SessionId } from '../../shared/ids.ts';
import type { ClientHello } from './client-hello.ts';
import type { SessionOwner } from './session-binding.ts';

/** A session that this process serves. */
export interface Session extends SessionOwner, ClientHello {
  /** Of its row. */
  readonly id: string;
  /** As the client has it. */
  readonly bound: string;
  /** As its server has it. */
  readonly upstreamId: string;
  readonly signInId: SessionId;
  readonly client: string;
  readonly transport: SessionTransport;
}

/** With what changes; times by `performance.now()`. */
export interface Entry extends Session {
  protocolVersion: string | undefined;
  readonly openedAt: number;
  activeAt: number;
  /** When it was last written down; never: before everything. */
  writtenAt: number;
  /** Set when it is over. */
  endedAt: number | undefined;
  /** How to end the streams that are open on it. */
  readonly streams: Set<() => void>;
}

/** Of these the one that came first is forgotten first: it is found in the database again. */
const maxEntries = 100_000;
/** For how long it is remembered that a session is over, in ms. */
const overMs = 600_000;

/** The sessions of this process in memory, found by either of their ids. */
export class SessionTable {
  readonly #byBound = new Map<string, Entry>();
  readonly #byId = new Map<string, Entry>();

  get size(): number {
    return this.#byBound.size;
  }

  byBound(bound: string): Entry | undefined {
    return this.#byBound.get(bound);
  }

  byId(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Entry> {
    return this.#byId.values();
  }

  add(entry: Entry): void {
    this.#byBound.set(entry.bound, entry);
    this.#byId.set(entry.id, entry);
    if (this.#byBound.size <= maxEntries) return;
    for (const oldest of this.#byBound.values()) {
      if (oldest.streams.size > 0) continue;
      this.#remove(oldest);
      return;
    }
  }

  /** Forgets what was not used since then, and what is over for long. @param before by `performance.now()` */
  forget(before: number): void {
    const over = performance.now() - overMs;
    for (const entry of this.#byId.values()) {
      const done =
        entry.endedAt === undefined ? entry.activeAt < before && entry.streams.size === 0 : entry.endedAt < over;
      if (done) this.#remove(entry);
    }
  }

  #remove(entry: Entry): void {
    this.#byBound.delete(entry.bound);
    this.#byId.delete(entry.id);
  }
}
