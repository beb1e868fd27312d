import type { Queryable } from '../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import type { UserSessionsRow } from './tables.ts';

/** A sign-in of a user as it is shown. */
export interface ListedSession {
  readonly id: SessionId;
  readonly kind: UserSessionsRow['kind'];
  readonly client: string;
  readonly userAgent?: string;
  readonly state: 'active' | 'expired' | 'ended';
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
  readonly expiresAt: Date;
}

/** The sign-ins of a user, the newest first; active ones unless told. */
export async function sessionsOf(
  connection: Queryable,
  userId: UserId,
  options: { readonly all: boolean; readonly limit: number },
): Promise<ListedSession[]> {
  const rows = await connection.query<UserSessionsRow & { state: ListedSession['state'] }>(
    `SELECT *, CASE WHEN revoked_at IS NOT NULL THEN 'ended' WHEN expires_at <= now() THEN 'expired' ELSE 'active' END AS state
     FROM user_sessions WHERE user_id = $1 AND ($2 OR (revoked_at IS NULL AND expires_at > now()))
     ORDER BY created_at DESC, id LIMIT $3`,
    [userId, options.all, options.limit],
  );
  return rows.map((row) => ({
    id: row.id as SessionId,
    kind: row.kind,
    client: row.client,
    ...(row.user_agent === null ? {} : { userAgent: row.user_agent }),
    state: row.state,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
    expiresAt: row.expires_at,
  }));
}

/**
 * Ends one sign-in of a user, or all of them.
 * @returns those that were active; undefined when the user never had the one that was named
 */
export async function endSessions(
  connection: Queryable,
  userId: UserId,
  which: SessionId | 'all',
): Promise<{ readonly id: SessionId; readonly client: string }[] | undefined> {
  const one = which === 'all' ? null : which;
  const ended = await connection.query<{ id: SessionId; client: string }>(
    `UPDATE user_sessions SET revoked_at = now()
     WHERE user_id = $1 AND ($2::uuid IS NULL OR id = $2) AND revoked_at IS NULL AND expires_at > now()
     RETURNING id, client`,
    [userId, one],
  );
  if (one === null || ended.length > 0) return ended;
  const known = await connection.query('SELECT FROM user_sessions WHERE id = $1 AND user_id = $2', [one, userId]);
  return known.length === 0 ? undefined : ended;
}
