import { z } from 'zod';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { ForbiddenError, NotFoundError, UsageError } from '../../shared/errors.ts';
import { implies } from '../../shared/permission.ts';
import { executionIdFloor } from './execution-id.ts';
import { type AuditEntry, findEntries } from './repository.ts';
import { outcomeStatuses } from './rows.ts';

const maxAuditPage = 500;
const prefixLimit = 10;
const everyPage = 1000;

/** What a list is narrowed to. */
export const auditFilterSchema = z.strictObject({
  server: z.string().min(1).optional(),
  tool: z.string().min(1).optional(),
  /** A user's name. */
  user: z.string().min(1).optional(),
  status: z.enum([...outcomeStatuses, 'open']).optional(),
  decision: z.enum(['allowed', 'refused']).optional(),
  /** A scope that server or tool asked for. */
  scope: z.string().min(1).optional(),
  /** Calls that began at this time or later. */
  since: z.date().optional(),
  /** Calls that began at this time or before. */
  until: z.date().optional(),
  limit: z.int().min(1).max(maxAuditPage).default(50),
  /** `nextCursor` of the page before. */
  cursor: z.uuid().optional(),
});
export type AuditFilter = z.input<typeof auditFilterSchema>;

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** Set when there are older ones. */
  readonly nextCursor?: string;
}

/** Reads the audit: an admin sees every call, everybody else their own. */
export class AuditReader {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /**
   * Calls from the newest to the oldest.
   * @throws UsageError when the filter does not hold; ForbiddenError when it asks for the calls of another user;
   *   DatabaseUnavailableError
   */
  async list(actor: Actor, filter: AuditFilter = {}): Promise<AuditPage> {
    if (filter.cursor !== undefined && !z.uuid().safeParse(filter.cursor).success) {
      throw new UsageError(`There is no list to go on with at the cursor ${filter.cursor.slice(0, 80)}`, {
        hint: 'Give the cursor that the list before ended with, or none to begin with the newest call.',
        next: ['admin audit list'],
      });
    }
    const parsed = auditFilterSchema.safeParse(filter);
    if (!parsed.success) throw new UsageError(z.prettifyError(parsed.error), { cause: parsed.error });
    const { server, tool, user, status, decision, scope, since, until, limit, cursor } = parsed.data;
    const end = until === undefined ? undefined : executionIdFloor(until.getTime() + 1);
    const all = implies(actor.permission, 'admin');
    if (!all && user !== undefined && user !== actor.userName) {
      throw new ForbiddenError('The calls of other users are shown to an admin only.', {
        hint: `Leave the user out, or name ${actor.userName}.`,
        data: { permission: 'admin' },
      });
    }
    const found = await findEntries(this.#database, {
      userId: all ? undefined : actor.userId,
      userName: user,
      server,
      tool,
      status,
      decision,
      scope,
      from: since === undefined ? undefined : executionIdFloor(since.getTime()),
      // Ids are ordered as their texts are.
      before: cursor !== undefined && (end === undefined || cursor < end) ? cursor : end,
      limit: limit + 1,
    });
    const entries = found.slice(0, limit);
    const last = entries.at(-1);
    return { entries, ...(found.length > limit && last !== undefined ? { nextCursor: last.executionId } : {}) };
  }

  /**
   * The calls that began in a span of time, the oldest first: those after one that is known, or the newest.
   * @param span times in ISO 8601, both included
   * @throws DatabaseUnavailableError
   */
  async between(
    actor: Actor,
    span: {
      readonly since?: string | undefined;
      readonly until?: string | undefined;
      readonly after?: string | undefined;
      readonly newest?: boolean;
      readonly limit: number;
    },
  ): Promise<AuditEntry[]> {
    const { since, until, after, newest = false, limit } = span;
    const found = await findEntries(this.#database, {
      userId: implies(actor.permission, 'admin') ? undefined : actor.userId,
      from: since === undefined ? undefined : executionIdFloor(Date.parse(since)),
      before: until === undefined ? undefined : executionIdFloor(Date.parse(until) + 1),
      after,
      oldestFirst: !newest,
      limit,
    });
    return newest ? found.reverse() : found;
  }

  /**
   * The calls whose id begins so, at most a few: one is meant, and more are told.
   * @param prefix hexadecimal digits and hyphens, in lower case
   */
  async startingWith(actor: Actor, prefix: string): Promise<AuditEntry[]> {
    const digits = prefix.replaceAll('-', '');
    const bound = (filler: string): string =>
      digits.padEnd(32, filler).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    const after = bound('0');
    const found = await findEntries(this.#database, {
      userId: implies(actor.permission, 'admin') ? undefined : actor.userId,
      from: after,
      oldestFirst: true,
      limit: prefixLimit,
    });
    return found.filter(({ executionId }) => executionId <= bound('f'));
  }

  /**
   * The calls of a trace, the oldest first.
   * @param prefix of the trace id: hexadecimal digits in lower case
   * @param since calls that began before are not looked through: there is no index, since every call would pay for it
   */
  async ofTrace(actor: Actor, prefix: string, since: Date, limit: number): Promise<AuditEntry[]> {
    return await findEntries(this.#database, {
      userId: implies(actor.permission, 'admin') ? undefined : actor.userId,
      tracePrefix: prefix,
      from: executionIdFloor(since.getTime()),
      oldestFirst: true,
      limit,
    });
  }

  /** @throws NotFoundError when there is no such call, or it is somebody else's and the actor is no admin */
  async show(actor: Actor, executionId: string): Promise<AuditEntry> {
    const known = z.uuid().safeParse(executionId).success
      ? await findEntries(this.#database, {
          executionId,
          userId: implies(actor.permission, 'admin') ? undefined : actor.userId,
          limit: 1,
        })
      : [];
    const [entry] = known;
    if (entry === undefined) {
      throw new NotFoundError(`There is no call ${executionId}.`, {
        next: ['admin audit list'],
        data: { executionId },
      });
    }
    return entry;
  }

  /**
   * Every call that a filter lets through, from the oldest to the newest, a thousand at a time.
   * @throws as `list` does
   */
  async *every(
    actor: Actor,
    filter: {
      readonly server?: string | undefined;
      readonly user?: string | undefined;
      readonly since?: Date | undefined;
      readonly until?: Date | undefined;
    },
  ): AsyncGenerator<AuditEntry> {
    const { since, until } = filter;
    for (let after: string | undefined; ; ) {
      const page = await findEntries(this.#database, {
        userId: implies(actor.permission, 'admin') ? undefined : actor.userId,
        userName: filter.user,
        server: filter.server,
        from: since === undefined ? undefined : executionIdFloor(since.getTime()),
        before: until === undefined ? undefined : executionIdFloor(until.getTime() + 1),
        after,
        oldestFirst: true,
        limit: everyPage,
      });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < everyPage) return;
      after = last.executionId;
    }
  }
}
