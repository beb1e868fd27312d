import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { PreconditionError } from '../../shared/errors.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { assertPrivate } from './permissions.ts';

/** 256 bits, for A256GCMKW (RFC 7518 section 4.7). */
const KEY_BYTES = 32;
/** Enough to tell any key file from a wrong file. */
const FILE_BYTES_MAX = 128;

/** The key that protects the keys of all secrets. `kid` names it in each envelope, so that it can be replaced. */
export interface MasterKey {
  readonly bytes: Uint8Array;
  readonly kid: string;
}

/** Writes a fresh key from the operating system's generator, base64url, 0600. */
export async function createMasterKey(file: string): Promise<void> {
  await writeFileAtomic(file, `${randomBytes(KEY_BYTES).toString('base64url')}\n`, 0o600);
}

/**
 * Reads the key, if its file is private.
 * @throws PreconditionError when it is missing, open to others, another user's or no key; never quotes what it holds
 */
export async function readMasterKey(file: string): Promise<MasterKey> {
  const text = await readPrivateText(file);
  const bytes = Buffer.from(text, 'base64url');
  // Decoding is lenient; encoding again shows whether this was such a key and nothing else.
  if (bytes.length !== KEY_BYTES || bytes.toString('base64url') !== text) {
    throw new PreconditionError(`The master key ${file} is damaged: it should be 32 bytes in base64url.`, {
      hint: 'Restore it from a backup: without it no secret of this instance can be read.',
      data: { file },
    });
  }
  const digest = createHash('sha256').update('systemprompt master key\0').update(bytes).digest('base64url');
  return { bytes, kid: digest.slice(0, 16) };
}

async function readPrivateText(file: string): Promise<string> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    const what = error.code === 'ENOENT' ? 'is missing' : `can't be read (${error.code})`;
    throw new PreconditionError(`The master key ${file} ${what}.`, {
      hint: 'Restore it from a backup: without it no secret of this instance can be read.',
      data: { file },
      cause: error,
    });
  });
  try {
    // The open file is what is checked and read, so that nothing can be swapped in between.
    assertPrivate(file, await handle.stat(), 'The master key');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(FILE_BYTES_MAX), 0, FILE_BYTES_MAX, 0);
    return buffer.toString('latin1', 0, bytesRead).trim();
  } finally {
    await handle.close();
  }
}
