import { CompactEncrypt, compactDecrypt, decodeProtectedHeader } from 'jose';
import { PreconditionError } from '../../../shared/errors.ts';
import type { MasterKey } from '../master-key.ts';

// A fresh key encrypts the content, the master key encrypts that key: compact JWE, RFC 7516 with A256GCMKW and A256GCM
// of RFC 7518.

/**
 * Encrypts under a master key.
 * @param sub what the envelope holds; authenticated with the rest of the header, so that it can't be put in another's place
 */
export function encryptFor(sub: string, bytes: Uint8Array, key: MasterKey): Promise<string> {
  return new CompactEncrypt(bytes)
    .setProtectedHeader({ alg: 'A256GCMKW', enc: 'A256GCM', kid: key.kid, sub })
    .encrypt(key.bytes);
}

/** Which master key an envelope names; undefined when it is no envelope or names none. Proves nothing. */
export function keyNamedBy(jwe: string): string | undefined {
  try {
    const { kid } = decodeProtectedHeader(jwe);
    return typeof kid === 'string' ? kid : undefined;
  } catch {
    return undefined; // whoever decrypts it says what is wrong
  }
}

/**
 * Opens an envelope.
 * @param subs what it may hold
 * @param what how messages name it
 * @param keyFor the master key of that name, if it is known
 * @throws PreconditionError when it is damaged, holds something else or belongs to an unknown master key
 */
export async function decryptFrom(
  jwe: string,
  subs: readonly string[],
  what: string,
  keyFor: (kid: string) => Promise<MasterKey | undefined>,
): Promise<Uint8Array> {
  const kid = keyNamedBy(jwe);
  const key = kid === undefined ? undefined : await keyFor(kid);
  if (kid !== undefined && key === undefined) throw unreadable(what, true);
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(jwe, key?.bytes ?? new Uint8Array(32), {
      keyManagementAlgorithms: ['A256GCMKW'],
      contentEncryptionAlgorithms: ['A256GCM'],
    });
    if (typeof protectedHeader['sub'] === 'string' && subs.includes(protectedHeader['sub'])) return plaintext;
  } catch (error) {
    throw unreadable(what, false, error);
  }
  throw unreadable(what, false);
}

function unreadable(what: string, otherKey: boolean, cause?: unknown): PreconditionError {
  const reason = otherKey ? 'was encrypted under another master key' : 'is damaged';
  return new PreconditionError(`${what} ${reason}.`, {
    hint: 'Restore secrets.json and its master key from the same backup, or set the secret anew.',
    ...(cause === undefined ? {} : { cause }),
  });
}
