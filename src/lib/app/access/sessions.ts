import { endSessions, type ListedSession, recordIdentityEvents, sessionsOf } from '../../domain/auth/index.ts';
import type { Transactional } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { NotFoundError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { requireOwn } from './rights.ts';

/** The sign-ins of users: each user sees and ends their own, an admin everybody's. */
export class UserSessions {
  readonly #database: Transactional;

  constructor(database: Transactional) {
    this.#database = database;
  }

  /** The newest first; with `all` those that ended too. @throws ForbiddenError */
  async list(
    actor: Actor,
    userId: UserId,
    options: { readonly all?: boolean; readonly limit?: number } = {},
  ): Promise<ListedSession[]> {
    requireOwn(actor, userId, 'What is known of the sign-ins of others');
    return sessionsOf(this.#database, userId, { all: options.all === true, limit: options.limit ?? 200 });
  }

  /**
   * Ends one sign-in of a user, or all that are active; ending one again changes nothing. Its tokens are refused as soon as
   * the database has announced it.
   * @returns the ids of those that were active
   * @throws NotFoundError when the user has no such sign-in; ForbiddenError
   */
  async end(actor: Actor, userId: UserId, which: SessionId | 'all'): Promise<SessionId[]> {
    requireOwn(actor, userId, 'Ending the sign-ins of others');
    return this.#database.transaction(async (tx) => {
      const ended = await endSessions(tx, userId, which);
      if (ended === undefined) {
        throw new NotFoundError('The user has no such sign-in', { data: { session: which, user: userId } });
      }
      const events = ended.map(({ id, client }) => ({
        type: 'session_revoked' as const,
        userId,
        actorId: actor.userId,
        sessionId: id,
        clientId: client,
      }));
      await recordIdentityEvents(tx, events);
      return ended.map(({ id }) => id);
    });
  }
}
