import { type IdentityEntry, type IdentityEventFilter, listIdentityEvents } from '../../domain/auth/index.ts';
import { UserService } from '../../domain/users/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { ForbiddenError, UsageError } from '../../shared/errors.ts';
import type { IdentityEventType } from '../../shared/identity-event.ts';
import type { UserId } from '../../shared/ids.ts';
import { isAdmin } from './rights.ts';

export interface IdentityAuditFilter {
  /** Id, name or mail address. */
  readonly user?: string | undefined;
  readonly client?: string | undefined;
  readonly type?: IdentityEventType | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly limit: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string | undefined;
}

export interface IdentityAuditPage {
  readonly entries: readonly IdentityEntry[];
  /** Set when there are older ones. */
  readonly nextCursor?: string;
}

/**
 * The audit of identity, the newest first: an admin sees all of it, everybody else what is about them or was done by them.
 * @throws ForbiddenError for another user's; NotFoundError for a user; UsageError for a cursor that is none
 */
export async function identityAudit(
  database: Database,
  actor: Actor,
  filter: IdentityAuditFilter,
): Promise<IdentityAuditPage> {
  const { client: clientId, type, since, until, limit, cursor } = filter;
  if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) {
    throw new UsageError(`There is no list to go on with at the cursor ${cursor.slice(0, 80)}`, {
      hint: 'Give the cursor that the list before ended with, or none to begin with the newest event.',
      next: ['admin audit identity'],
    });
  }
  const wanted: IdentityEventFilter = {
    userId: await userIdOf(database, actor, filter.user),
    clientId,
    type,
    since,
    until,
    before: cursor === undefined ? undefined : Number(cursor),
    limit: limit + 1,
  };
  const found = await listIdentityEvents(database, wanted);
  const entries = found.slice(0, limit);
  const last = entries.at(-1);
  return { entries, ...(found.length > limit && last !== undefined ? { nextCursor: String(last.id) } : {}) };
}

async function userIdOf(database: Database, actor: Actor, handle: string | undefined): Promise<UserId | undefined> {
  const users = new UserService(database);
  if (isAdmin(actor)) return handle === undefined ? undefined : (await users.find(handle)).id;
  const own = await users.get(actor.userId);
  if (handle === undefined || [own.id, own.name, own.email].includes(handle.trim().toLowerCase())) return own.id;
  throw new ForbiddenError('What is on record of other users is shown to an admin only.', {
    hint: `Leave the user out, or name ${own.name}.`,
    data: { permission: 'admin' },
  });
}
