import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { PreconditionError } from '../../../shared/errors.ts';

/** DER of a private Ed25519 key in PKCS #8 up to its 32 bytes (RFC 8410 section 7). */
const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const seedBytes = 32;

/** A key that signs checkpoints. */
export interface SigningKey {
  readonly id: string;
  readonly privateKey: KeyObject;
  /** SPKI in DER, base64url. */
  readonly publicKey: string;
}

/** What a segment of source `key` says: from here on this key signs. The one before it vouches for it. */
export interface KeyNote {
  readonly key_id: string;
  readonly public_key: string;
  readonly introduced_by?: string | undefined;
  readonly signature?: string | undefined;
}

const keyNote = z.strictObject({
  key_id: z.string().min(1),
  public_key: z.string().min(1),
  introduced_by: z.string().optional(),
  signature: z.string().optional(),
});

/** @param secret 32 bytes in base64url. @throws PreconditionError for anything else; it is not quoted */
export function signingKey(secret: string): SigningKey {
  const seed = Buffer.from(secret, 'base64url');
  if (seed.length !== seedBytes) {
    throw new PreconditionError('The secret audit.signing is not 32 bytes in base64url.');
  }
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return { id: keyIdOf(der), privateKey, publicKey: der.toString('base64url') };
}

/** The name of a public key: the beginning of the SHA-256 of its SPKI. */
function keyIdOf(der: Buffer): string {
  return createHash('sha256').update(der).digest('base64url').slice(0, 22);
}

/** @returns nothing when it is no Ed25519 key, or the id is not its own */
export function publicKeyOf(id: string, publicKey: string): KeyObject | undefined {
  const der = Buffer.from(publicKey, 'base64url');
  if (keyIdOf(der) !== id || der.toString('base64url') !== publicKey) return undefined;
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined; // no key
  }
}

/** The public key as people keep it, in PEM. */
export function toPem(publicKey: string): string {
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64url'), format: 'der', type: 'spki' });
  return key.export({ format: 'pem', type: 'spki' }).toString();
}

/** @throws PreconditionError when the text holds no public Ed25519 key in PEM */
export function keyIdOfPem(pem: string): string {
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return keyIdOf(key.export({ format: 'der', type: 'spki' }));
  } catch {
    // The same answer as for a key of another kind.
  }
  throw new PreconditionError('There is no public Ed25519 key in PEM in that file.', {
    hint: 'It is printed by admin audit keys, and begins with -----BEGIN PUBLIC KEY-----.',
  });
}

/** The note that introduces a key; signed by the former one where that is still known. */
export function introduce(key: SigningKey, former: SigningKey | undefined): KeyNote {
  const note = { key_id: key.id, public_key: key.publicKey };
  if (former === undefined) return note;
  const signature = sign(null, introductionBytes({ ...note, introduced_by: former.id }), former.privateKey);
  return { ...note, introduced_by: former.id, signature: signature.toString('base64url') };
}

/** @returns nothing for a note that is none */
export function readKeyNote(text: string): KeyNote | undefined {
  try {
    const read = keyNote.safeParse(JSON.parse(text));
    return read.success ? read.data : undefined;
  } catch {
    return undefined; // no JSON
  }
}

/** Whether the former key vouches for the new one. */
export function isIntroduced(note: KeyNote, former: KeyObject): boolean {
  const signature = Buffer.from(note.signature ?? '', 'base64url');
  return signature.toString('base64url') === note.signature && verify(null, introductionBytes(note), former, signature);
}

function introductionBytes({ key_id, public_key, introduced_by }: KeyNote): Buffer {
  return Buffer.from(`systemprompt audit key 1\n${JSON.stringify([key_id, public_key, introduced_by])}`);
}
