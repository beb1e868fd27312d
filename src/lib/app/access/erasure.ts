import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';

/**
 * Removes every way in of a user, and what is personal about their sign-ins. Sessions have ended with the user's status; their
 * rows stay, without the browser's name, since the audit names them. Grants to the user are revoked.
 * @param by who does it
 */
export async function eraseCredentials(tx: Queryable, userId: UserId, by: UserId): Promise<void> {
  await tx.query('DELETE FROM browser_sessions WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM passkeys WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM federated_identities WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM sign_in_steps WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM oauth_payloads WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM personal_access_tokens WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM mcp.user_credentials WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM mcp.user_tools WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM mcp.upstream_grants WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM mcp.upstream_attempts WHERE user_id = $1', [userId]);
  await tx.query('DELETE FROM mcp.server_logs WHERE user_id = $1', [userId]);
  await tx.query(
    'UPDATE user_sessions SET user_agent = NULL, revoked_at = coalesce(revoked_at, now()) WHERE user_id = $1',
    [userId],
  );
  await tx.query(
    `UPDATE access_grants SET revoked_at = now(), revoked_by = $2
     WHERE subject_type = 'user' AND subject = $1::text AND revoked_at IS NULL`,
    [userId, by],
  );
}
