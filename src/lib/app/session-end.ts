import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// On the hot path of every command that speaks to the supervisor: node's own modules only.

/** From when on a sign-in is renewed: the last quarter of its life. Times in ms since the epoch. */
export function renewFrom(expiresAt: number, begunAt: number): number {
  return expiresAt - Math.max(0, (expiresAt - begunAt) / 4);
}

/** Whether a sign-in is to be renewed: it is still good, and the time for it has come. */
export function isDue(
  { renewFrom, expiresAt }: { readonly renewFrom?: string | undefined; readonly expiresAt: string },
  now: number,
): boolean {
  return renewFrom !== undefined && Date.parse(renewFrom) <= now && now < Date.parse(expiresAt);
}

/**
 * Whether the sign-in of a profile may have to be renewed: a quick look, which whoever renews makes again and thoroughly. A file that
 * can't be read is none of this look's business.
 */
export function mayNeedRenewal(projectDir: string, profile: string, now = Date.now()): boolean {
  try {
    const file = JSON.parse(readFileSync(join(projectDir, 'sessions/index.json'), 'utf8')) as {
      sessions?: Record<string, { expiresAt: string; renewFrom?: string }>;
    };
    const session = file.sessions?.[profile];
    return session !== undefined && isDue(session, now);
  } catch {
    return false; // nobody is signed in, or the file is damaged: who uses it says so
  }
}
