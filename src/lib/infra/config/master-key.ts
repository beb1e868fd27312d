import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { PreconditionError } from '../../shared/errors.ts';
import { assertPrivate } from './permissions.ts';

/** 256 bits, for A256GCMKW (RFC 7518 section 4.7). */
const KEY_BYTES = 32;
/** More than any key or token has. */
const FILE_BYTES_MAX = 4096;

const restore = 'Restore it from a backup: without it no secret of this instance can be read.';

/** The key that protects the keys of all secrets. `kid` names it in each envelope, so that it can be replaced. */
export interface MasterKey {
  readonly bytes: Uint8Array;
  readonly kid: string;
}

/** A fresh key from the operating system's generator. */
export function generateMasterKey(): MasterKey {
  return masterKeyOf(randomBytes(KEY_BYTES));
}

/** @param bytes 32 of them */
export function masterKeyOf(bytes: Uint8Array): MasterKey {
  const digest = createHash('sha256').update('systemprompt master key\0').update(bytes).digest('base64url');
  return { bytes, kid: digest.slice(0, 16) };
}

/** The key as it is written: base64url. */
export function masterKeyText(key: MasterKey): string {
  return Buffer.from(key.bytes).toString('base64url');
}

/** The key that a text stands for; undefined when it is no key. */
export function parseMasterKey(text: string): MasterKey | undefined {
  const bytes = Buffer.from(text, 'base64url');
  // Decoding is lenient; encoding again shows whether this was such a key and nothing else.
  if (bytes.length !== KEY_BYTES || bytes.toString('base64url') !== text) return undefined;
  return masterKeyOf(bytes);
}

/**
 * Reads a key file, if it is private.
 * @throws PreconditionError when it is missing, open to others, another user's or no key; never quotes what it holds
 */
export async function readMasterKey(file: string): Promise<MasterKey> {
  const key = parseMasterKey(await readPrivateText(file, 'The master key', restore));
  if (key !== undefined) return key;
  throw new PreconditionError(`The master key ${file} is damaged: it should be 32 bytes in base64url.`, {
    hint: restore,
    data: { file },
  });
}

/**
 * A short text that nobody else may read.
 * @param what how messages name the file, @param hint what to do when it is not there
 * @throws PreconditionError when it is missing, open to others or another user's
 */
export async function readPrivateText(file: string, what: string, hint: string): Promise<string> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'is missing' : `can't be read (${error.code})`;
    throw new PreconditionError(`${what} ${file} ${reason}.`, { hint, data: { file }, cause: error });
  });
  try {
    // The open file is what is checked and read, so that nothing can be swapped in between.
    assertPrivate(file, await handle.stat(), what);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FILE_BYTES_MAX), 0, FILE_BYTES_MAX, 0);
    return buffer.toString('latin1', 0, bytesRead).trim();
  } finally {
    await handle.close();
  }
}
