import type { Queryable } from '../../../infra/database/connection.ts';
import type { SessionId, UserId } from '../../../shared/ids.ts';

/** How somebody proved to be who they are. */
export type SignInMethod = 'passkey' | 'mail_link' | 'setup_link' | 'federation';

/** Who sits at a browser. */
export interface BrowserSession {
  readonly userId: UserId;
  readonly userName: string;
  readonly displayName: string;
  readonly sessionId: SessionId;
  /** When the user last proved to be there. */
  readonly authTime: Date;
  readonly methods: readonly SignInMethod[];
}

/** What a sign-in at a browser is made of. */
export interface NewBrowserSession {
  readonly userId: UserId;
  readonly methods: readonly SignInMethod[];
  /** The passkey, or the identity at another provider, that it was begun with: its removal ends the session. */
  readonly passkeyId?: string | undefined;
  readonly federatedId?: string | undefined;
  readonly userAgent?: string | undefined;
}

/** The client that sessions of browsers are listed under. */
const browserClient = 'browser';

interface Row {
  readonly session_id: string;
  readonly user_id: string;
  readonly name: string;
  readonly display_name: string;
  readonly auth_time: Date;
  readonly methods: SignInMethod[];
}

/**
 * The session that a cookie's hash stands for, if it is good: not ended, not idle for too long, of a user who may act.
 * Remembers that it was used, to the minute.
 */
export async function findBrowserSession(
  connection: Queryable,
  hash: Buffer,
  idleSeconds: number,
): Promise<BrowserSession | undefined> {
  const [row] = await connection.query<Row>(
    `WITH found AS (
       SELECT b.session_id, b.user_id, u.name, u.display_name, b.auth_time, b.methods
       FROM browser_sessions b JOIN user_sessions s ON s.id = b.session_id JOIN users u ON u.id = b.user_id
       WHERE b.hash = $1 AND s.revoked_at IS NULL AND s.expires_at > now()
         AND s.last_seen_at > now() - make_interval(secs => $2) AND u.status = 'active'
     ), seen AS (
       UPDATE user_sessions SET last_seen_at = now()
       WHERE id = (SELECT session_id FROM found) AND last_seen_at < now() - interval '1 minute'
     )
     SELECT * FROM found`,
    [hash, idleSeconds],
    { name: 'browser_session' },
  );
  return row && toSession(row);
}

/** Begins a session of `ttlSeconds` for whoever carries what `hash` is of; undefined when that user may not act. */
export async function insertBrowserSession(
  connection: Queryable,
  session: NewBrowserSession & { readonly hash: Buffer; readonly ttlSeconds: number },
): Promise<BrowserSession | undefined> {
  const [row] = await connection.query<Row>(
    `WITH begun AS (
       INSERT INTO user_sessions (user_id, kind, client, user_agent, expires_at)
       SELECT id, 'browser', $2, $3, now() + make_interval(secs => $4) FROM users
       WHERE id = $1 AND status = 'active' AND kind = 'person'
       RETURNING id, user_id
     ), kept AS (
       INSERT INTO browser_sessions (session_id, user_id, hash, methods, passkey_id, federated_id)
       SELECT id, user_id, $5, $6, $7, $8 FROM begun RETURNING *
     )
     SELECT k.session_id, k.user_id, u.name, u.display_name, k.auth_time, k.methods
     FROM kept k JOIN users u ON u.id = k.user_id`,
    [
      session.userId,
      browserClient,
      session.userAgent?.slice(0, 500) ?? null,
      session.ttlSeconds,
      session.hash,
      session.methods,
      session.passkeyId ?? null,
      session.federatedId ?? null,
    ],
  );
  return row && toSession(row);
}

/** Ends the session that a cookie's hash stands for; gives whose it was when it was not ended before. */
export async function endBrowserSession(
  connection: Queryable,
  hash: Buffer,
): Promise<{ readonly sessionId: SessionId; readonly userId: UserId } | undefined> {
  const [row] = await connection.query<{ id: string; user_id: string }>(
    `UPDATE user_sessions SET revoked_at = now()
     WHERE id = (SELECT session_id FROM browser_sessions WHERE hash = $1) AND revoked_at IS NULL
     RETURNING id, user_id`,
    [hash],
  );
  return row && { sessionId: row.id as SessionId, userId: row.user_id as UserId };
}

/** Lets the same session be carried by something else from now on; false when the old one carries none. */
export async function replaceBrowserHash(connection: Queryable, from: Buffer, to: Buffer): Promise<boolean> {
  const rows = await connection.query('UPDATE browser_sessions SET hash = $2 WHERE hash = $1 RETURNING session_id', [
    from,
    to,
  ]);
  return rows.length > 0;
}

function toSession(row: Row): BrowserSession {
  return {
    userId: row.user_id as UserId,
    userName: row.name,
    displayName: row.display_name,
    sessionId: row.session_id as SessionId,
    authTime: row.auth_time,
    methods: row.methods,
  };
}
