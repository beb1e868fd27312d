import { createHash, createHmac, pbkdf2 as pbkdf2Callback, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';

const pbkdf2 = promisify(pbkdf2Callback);
const ITERATIONS = 4096;
const verifierPattern = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

async function build(password: string, salt: Buffer, iterations: number): Promise<string> {
  // RFC 5802 section 3; our passwords are base64url, so SASLprep (RFC 4013) changes nothing in them.
  const salted = await pbkdf2(password, salt, iterations, 32, 'sha256');
  const hmac = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(hmac('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${hmac('Server Key').toString('base64')}`;
}

/**
 * What PostgreSQL keeps of a password (manual, "pg_authid"). Sent instead of the password itself, so that no statement
 * and no server log ever holds it.
 */
export function scramVerifier(password: string): Promise<string> {
  return build(password, randomBytes(16), ITERATIONS);
}

/** Whether a verifier that the server keeps is one of this password. */
export async function matchesVerifier(password: string, verifier: string): Promise<boolean> {
  const parts = verifierPattern.exec(verifier);
  if (parts?.[1] === undefined || parts[2] === undefined) return false;
  return (await build(password, Buffer.from(parts[2], 'base64'), Number(parts[1]))) === verifier;
}
