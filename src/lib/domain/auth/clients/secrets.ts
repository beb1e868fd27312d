import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 256 bits as base64url: clients put it into an Authorization header without form-encoding it, as RFC 6749 asks. */
export function newClientSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** What is kept of a secret. It is random and long: nothing is gained by a slow hash. */
export function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}

/** Whether a secret is one of those; takes as long for a wrong one as for a right one. */
export function matchesSecret(
  secret: string,
  live: readonly { readonly hash: Buffer; readonly expiresAt?: Date }[],
  now = Date.now(),
): boolean {
  const given = hashSecret(secret);
  let found = false;
  for (const { hash: kept, expiresAt } of live) {
    const same = timingSafeEqual(given, kept);
    if (same && (expiresAt === undefined || expiresAt.getTime() > now)) found = true;
  }
  return found;
}
