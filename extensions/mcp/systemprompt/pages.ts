import { randomBytes } from 'node:crypto';
import { type Artifact, covers, NotFoundError } from 'systemprompt';
import { type Cut, cutPage } from './paging.ts';

/** Who may read a kept result: the user whose call produced it, as long as the sign-in still covers the command. */
interface Reader {
  readonly userId: string;
  readonly scopes: readonly string[];
}

interface Kept {
  readonly artifact: Artifact;
  readonly userId: string;
  readonly permission: string;
  readonly bytes: number;
  readonly expires: number;
}

export interface PageLimits {
  /** How long a result can be read on, in ms. */
  readonly ttlMs: number;
  /** Bytes of JSON kept for one user, and for all together. */
  readonly perUser: number;
  readonly total: number;
}

const defaultLimits: PageLimits = { ttlMs: 10 * 60_000, perUser: 32 * 1024 * 1024, total: 128 * 1024 * 1024 };
const cursorPattern = /^page:([\w-]{22}):(\d{1,9})$/;

/**
 * Results that were too large for one answer, in memory. Each user's oldest give way first, so that nobody pushes out
 * what others are reading unless all together keep too much.
 */
export class Pages {
  readonly #limits: PageLimits;
  readonly #now: () => number;
  readonly #kept = new Map<string, Kept>();

  constructor(limits: Partial<PageLimits> = {}, now: () => number = Date.now) {
    this.#limits = { ...defaultLimits, ...limits };
    this.#now = now;
  }

  /** The artifact itself when it fits into `limitBytes`, else its first part with the cursor to the next. */
  first(artifact: Artifact, limitBytes: number, reader: Reader, permission: string): Artifact {
    const bytes = Buffer.byteLength(JSON.stringify(artifact));
    if (bytes <= limitBytes) return artifact;
    const id = randomBytes(16).toString('base64url');
    this.#keep(id, { artifact, userId: reader.userId, permission, bytes, expires: this.#now() + this.#limits.ttlMs });
    return withCursor(id, cutPage(artifact, 0, limitBytes));
  }

  /** @throws NotFoundError when the cursor is not of this reader, or no longer good; the same for both */
  next(cursor: string, limitBytes: number, reader: Reader): Artifact {
    const [, id = '', position = '0'] = cursorPattern.exec(cursor) ?? [];
    const kept = this.#kept.get(id);
    const readable = kept !== undefined && kept.expires > this.#now() && kept.userId === reader.userId;
    if (!readable || !covers(reader.scopes, kept.permission)) {
      throw new NotFoundError('There is nothing more under this cursor', {
        hint:
          id === ''
            ? 'A cursor that a command gave goes into its words, as --cursor'
            : 'Results are kept for some minutes; run the command again',
      });
    }
    return withCursor(id, cutPage(kept.artifact, Number(position), limitBytes));
  }

  #keep(id: string, kept: Kept): void {
    for (const [old, { expires }] of this.#kept) if (expires <= this.#now()) this.#kept.delete(old);
    this.#makeRoom(this.#limits.perUser - kept.bytes, (other) => other.userId === kept.userId);
    this.#makeRoom(this.#limits.total - kept.bytes, () => true);
    this.#kept.set(id, kept);
  }

  /** Removes the oldest of those that `counts` until they take no more than `room` bytes. */
  #makeRoom(room: number, counts: (kept: Kept) => boolean): void {
    const counted = [...this.#kept].filter(([, kept]) => counts(kept));
    let bytes = counted.reduce((sum, [, kept]) => sum + kept.bytes, 0);
    for (const [id, kept] of counted) {
      if (bytes <= room) return;
      this.#kept.delete(id);
      bytes -= kept.bytes;
    }
  }
}

function withCursor(id: string, { artifact, next }: Cut): Artifact {
  return next === undefined ? artifact : ({ ...artifact, next_cursor: `page:${id}:${next}` } as Artifact);
}
