import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, syncFolder, writeFileAtomic } from '../atomic-file.ts';

// Where an instance's master key is, kept beside secrets.json: it is needed before any profile is read, and all profiles of
// a tenant share the secrets.

const kid = z.string().min(1).max(64);

const keyEntry = z.discriminatedUnion('source', [
  z.strictObject({ source: z.literal('file'), kid: kid.optional() }),
  z.strictObject({ source: z.literal('environment'), kid: kid.optional() }),
  z.strictObject({ source: z.literal('keychain'), kid, account: z.string().min(1) }),
  z.strictObject({
    source: z.literal('vault'),
    kid,
    address: z.url({ protocol: /^https?$/ }),
    mount: z.string().min(1),
    key: z.string().min(1),
    token_file: z.string().min(1).optional(),
    /** The key, encrypted by the service. */
    wrapped: z.string().min(1),
  }),
]);

const recordSchema = z.strictObject({ version: z.literal(1), keys: z.array(keyEntry).min(1) });

/** How to come by one master key. */
export type KeyEntry = z.output<typeof keyEntry>;
export type KeySourceName = KeyEntry['source'];
export const keySourceNames = ['file', 'environment', 'keychain', 'vault'] as const satisfies readonly KeySourceName[];

const unrecorded: readonly KeyEntry[] = [{ source: 'file' }];

function recordFile(dir: string): string {
  return join(dir, 'master-key.json');
}

/**
 * The entries of the keys that are in use; more than one only while they are being exchanged. Without a record it is the
 * file `master.key`.
 * @throws PreconditionError when the record is damaged
 */
export async function readKeyRecord(dir: string): Promise<readonly KeyEntry[]> {
  return (await readJson(recordFile(dir), recordSchema))?.keys ?? unrecorded;
}

/** Replaces the record as one step. What is true without one is not written: a backup of key and secrets stays whole. */
export async function writeKeyRecord(dir: string, keys: readonly KeyEntry[]): Promise<void> {
  const file = recordFile(dir);
  if (keys.length === 1 && keys[0]?.source === 'file') {
    await rm(file, { force: true });
    return await syncFolder(dir);
  }
  await writeFileAtomic(file, `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`, 0o600);
}
