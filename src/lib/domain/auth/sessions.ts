import type { Transactional } from '../../infra/database/connection.ts';
import { NotFoundError } from '../../shared/errors.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { recordIdentityEvent } from './events.ts';
import { insertSession, revokeSession, touchSession } from './repository.ts';
import type { UserSessionsRow } from './tables.ts';

/** One sign-in of one user with one client. */
export interface UserSession {
  readonly id: SessionId;
  readonly userId: UserId;
  readonly client: string;
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt?: Date;
}

/** Sign-ins at the machine of the instance, each on record. Ending one makes every verifier refuse its tokens as soon as the database has announced it. */
export class SessionService {
  readonly #database: Transactional;

  constructor(database: Transactional) {
    this.#database = database;
  }

  /** Begins a session of `ttlSeconds`; no token of it lives longer. */
  async begin(session: {
    readonly userId: UserId;
    readonly client: string;
    readonly userAgent?: string;
    readonly ttlSeconds: number;
  }): Promise<UserSession> {
    const { userId, client: clientId } = session;
    return this.#database.transaction(async (tx) => {
      const begun = toSession(await insertSession(tx, session));
      await recordIdentityEvent(tx, {
        type: 'sign_in',
        userId,
        clientId,
        sessionId: begun.id,
        data: { method: 'local' },
      });
      return begun;
    });
  }

  /** Ends a session; doing it again changes nothing. @throws NotFoundError when there is no such session */
  async revoke(id: SessionId): Promise<UserSession> {
    return this.#database.transaction(async (tx) => {
      const [before] = await tx.query<Pick<UserSessionsRow, 'revoked_at'>>(
        'SELECT revoked_at FROM user_sessions WHERE id = $1 FOR UPDATE',
        [id],
      );
      const row = await revokeSession(tx, id);
      if (row === undefined) throw new NotFoundError('There is no such session', { data: { session: id } });
      const session = toSession(row);
      const { userId, client: clientId } = session;
      if (before?.revoked_at === null) {
        await recordIdentityEvent(tx, { type: 'sign_out', userId, clientId, sessionId: id });
      }
      return session;
    });
  }

  /** Remembers that it was used, to the minute. */
  touch(id: SessionId): Promise<void> {
    return touchSession(this.#database, id);
  }
}

function toSession(row: UserSessionsRow): UserSession {
  return {
    id: row.id as SessionId,
    userId: row.user_id as UserId,
    client: row.client,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
    expiresAt: row.expires_at,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
  };
}
