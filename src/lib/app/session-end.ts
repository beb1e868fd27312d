import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// On the hot path of every command that speaks to the supervisor: node's own modules only.

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
    return (
      session?.renewFrom !== undefined && Date.parse(session.renewFrom) <= now && now < Date.parse(session.expiresAt)
    );
  } catch {
    return false; // nobody is signed in, or the file is damaged: who uses it says so
  }
}
