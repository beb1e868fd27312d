import { createCipheriv, createDecipheriv, createHmac, hash, randomBytes } from 'node:crypto';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Encrypts what the authorization server keeps, so that a copy of the database lets nobody in: authorization codes,
 * cookies of interactions and device codes stand in what belongs to other ids. Each is bound to the row that it is in.
 */
export class Seal {
  readonly #key: Buffer;

  /** @param root 32 bytes that only this instance has */
  constructor(root: Uint8Array) {
    this.#key = createHmac('sha256', root).update('authorization server').digest();
  }

  /** @param subject what it is and of what: only the same opens it */
  seal(subject: string, value: unknown, secret?: string): Buffer {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(algorithm, this.#keyFor(secret), nonce, { authTagLength: tagBytes });
    cipher.setAAD(Buffer.from(subject));
    const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), text]);
  }

  /** @throws when it is damaged, was moved to another row, or is another instance's */
  open(subject: string, sealed: Buffer, secret?: string): unknown {
    const nonce = sealed.subarray(0, nonceBytes);
    const decipher = createDecipheriv(algorithm, this.#keyFor(secret), nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(subject));
    decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
    const text = Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()]);
    return JSON.parse(text.toString('utf8'));
  }

  /** What is kept of a value that has few possibilities: without the key nobody can try them all. */
  digest(value: string): Buffer {
    return createHmac('sha256', this.#key).update(value).digest();
  }

  /** With a secret that the database does not have, the value opens only for who brings that too. */
  #keyFor(secret: string | undefined): Buffer {
    return secret === undefined ? this.#key : createHmac('sha256', this.#key).update(`with ${secret}`).digest();
  }
}

/** What is kept of an id: enough to know it again, not to use it. It is random, and needs no salt. */
export function idHash(id: string): Buffer {
  return hash('sha256', id, 'buffer');
}
