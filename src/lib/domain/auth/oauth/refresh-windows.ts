import type { Queryable } from '../../../infra/database/connection.ts';
import type { RefreshWindowsRow } from '../tables.ts';

/** The answer to one refresh, for whoever sends the same request again. */
export interface RefreshWindow {
  /** SHA-256 of the refresh token that was used up. */
  readonly tokenHash: Buffer;
  /** SHA-256 of what else the request said, and of the client that sent it. */
  readonly requestHash: Buffer;
  readonly grantHash: Buffer;
  readonly sealed: Buffer;
  readonly ttlSeconds: number;
}

export async function insertRefreshWindow(tx: Queryable, window: RefreshWindow): Promise<void> {
  await tx.query(
    `INSERT INTO refresh_windows (token_hash, request_hash, grant_hash, sealed, expires_at)
     VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))`,
    [window.tokenHash, window.requestHash, window.grantHash, window.sealed, window.ttlSeconds],
    { name: 'refresh_window_insert' },
  );
}

/** The answer that is kept for that token and that request; undefined when it is over, or was another request. */
export async function findRefreshWindow(
  connection: Queryable,
  tokenHash: Buffer,
  requestHash: Buffer,
): Promise<Buffer | undefined> {
  const [row] = await connection.query<Pick<RefreshWindowsRow, 'sealed'>>(
    'SELECT sealed FROM refresh_windows WHERE token_hash = $1 AND request_hash = $2 AND expires_at > now()',
    [tokenHash, requestHash],
    { name: 'refresh_window_find' },
  );
  return row?.sealed;
}
