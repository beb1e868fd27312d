import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// On the hot path of every command that speaks to the supervisor: node's own modules only.

/** So long before its end a sign-in is renewed, in ms: a quarter of the usual life. */
const nearEndMs = 15 * 60 * 1000;

/** Whether a sign-in is still good and ends soon. @param expiresAt ISO 8601 */
export function isNearEnd(expiresAt: string, now: number): boolean {
  const left = Date.parse(expiresAt) - now;
  return left > 0 && left <= nearEndMs;
}

/**
 * Whether the sign-in of a profile may have to be renewed: a quick look, which whoever renews makes again and thoroughly. A file that
 * can't be read is none of this look's business.
 */
export function mayNeedRenewal(projectDir: string, profile: string, now = Date.now()): boolean {
  try {
    const file = JSON.parse(readFileSync(join(projectDir, 'sessions/index.json'), 'utf8')) as {
      sessions?: Record<string, { expiresAt?: unknown; renewable?: unknown }>;
    };
    const session = file.sessions?.[profile];
    return session?.renewable === true && typeof session.expiresAt === 'string' && isNearEnd(session.expiresAt, now);
  } catch {
    return false; // nobody is signed in, or the file is damaged: who uses it says so
  }
}
