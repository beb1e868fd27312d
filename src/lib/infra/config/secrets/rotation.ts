import { join } from 'node:path';
import { PartialError, PreconditionError, UsageError } from '../../../shared/errors.ts';
import { withFileLock } from '../file-lock.ts';
import { keysIn } from '../master-key/environment-source.ts';
import { type KeyEntry, type KeySourceName, readKeyRecord, writeKeyRecord } from '../master-key/record.ts';
import type { KeySourceWish } from '../master-key/source.ts';
import { keySource } from '../master-key/sources.ts';
import { generateMasterKey, type MasterKey } from '../master-key.ts';
import { encryptFor } from './envelope.ts';
import { readSecrets, type SecretsFile, subjectOf, writeSecrets } from './file.ts';
import { KeyRing } from './key-ring.ts';
import { SecretsReader } from './reader.ts';

/** Where an exchange of the master key stands: each step lasts, and after each everything can be read. */
export type RotationStep = 'recorded' | 'kept' | 'committed' | 'settled' | 'dropped' | 'done';

export interface RotationOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Is told of each step once it is taken. */
  readonly onStep?: (step: RotationStep) => void;
}

export interface Rotated {
  readonly from: { readonly source: KeySourceName; readonly kid: string };
  readonly to: { readonly source: KeySourceName; readonly kid: string };
  readonly secrets: number;
}

interface Held {
  readonly entry: KeyEntry;
  readonly key: MasterKey;
}

/**
 * Exchanges the master key: all secrets are encrypted anew, and the former key is kept under the new one to open what is
 * sealed elsewhere. Writing secrets.json is the one step that decides; before it the old key holds and after it the new one,
 * and which of the two that is stands in the file. What a killed exchange left is put right by the next.
 * @param wish where the new key is to be kept; where the present one is unless told
 * @throws PreconditionError when a source can't be read or does not take the key; nothing is changed then
 * @throws PartialError when the key was exchanged and the former one could not be removed from its source
 */
export async function rotateMasterKey(
  dir: string,
  wish: KeySourceWish | undefined,
  { env, onStep = () => {} }: RotationOptions,
): Promise<Rotated> {
  const file = join(dir, 'secrets.json');
  return await withFileLock(`${file}.lock`, async () => {
    const ring = await KeyRing.open(dir, env);
    const reader = new SecretsReader(file, ring);
    const read = await readSecrets(file);
    const content = read.outdated ? await reader.migrated(read.content) : read.content;
    const current = await finishInterrupted(dir, env, await reader.currentKey(content));

    const place = wish ?? presentPlace(current.entry);
    const source = await keySource(place.source, { dir, env });
    const key = place.source === 'environment' ? givenKey(env, current.key) : generateMasterKey();
    const entry = await source.prepare(key, place);
    await writeKeyRecord(dir, [current.entry, entry]);
    onStep('recorded');
    try {
      await source.keep(key, entry);
      onStep('kept');
      await writeSecrets(file, await encryptedAnew(content, reader, current.key, key));
      onStep('committed');
    } catch (error) {
      // Also when writing failed the new content may be there.
      if ((await readSecrets(file)).content.key !== key.kid) {
        await source.drop(entry).catch(() => undefined); // nothing is encrypted under it
        await writeKeyRecord(dir, [current.entry]);
      }
      throw error;
    }
    await source.settle(entry);
    onStep('settled');
    await removeFormer(dir, env, current.entry);
    onStep('dropped');
    await writeKeyRecord(dir, [entry]);
    onStep('done');
    return {
      from: { source: current.entry.source, kid: current.key.kid },
      to: { source: entry.source, kid: key.kid },
      secrets: Object.keys(content.secrets).length,
    };
  });
}

/** Forgets the master keys of before, and with them the digests that follow from the first of them. @returns how many */
export async function forgetFormerKeys(dir: string): Promise<number> {
  const file = join(dir, 'secrets.json');
  return await withFileLock(`${file}.lock`, async () => {
    const { content } = await readSecrets(file);
    const { fingerprint_key: _, ...rest } = content;
    if (content.former_keys.length > 0) await writeSecrets(file, { ...rest, former_keys: [] });
    return content.former_keys.length;
  });
}

/** Leaves the entry of the key that is in use, and no other key anywhere. */
async function finishInterrupted(dir: string, env: NodeJS.ProcessEnv, key: MasterKey): Promise<Held> {
  const entries = await readKeyRecord(dir);
  const [only] = entries;
  if (only !== undefined && entries.length === 1) return { entry: { ...only, kid: key.kid }, key };
  const current = entries.find((entry) => entry.kid === key.kid);
  if (current === undefined) {
    throw new PreconditionError('master-key.json does not name the key that secrets.json is encrypted under.', {
      hint: 'Restore both from the same backup.',
    });
  }
  await (await keySource(current.source, { dir, env })).settle(current);
  for (const entry of entries) if (entry !== current) await (await keySource(entry.source, { dir, env })).drop(entry);
  await writeKeyRecord(dir, [current]);
  return { entry: current, key };
}

async function removeFormer(dir: string, env: NodeJS.ProcessEnv, entry: KeyEntry): Promise<void> {
  try {
    await (await keySource(entry.source, { dir, env })).drop(entry);
  } catch (error) {
    throw new PartialError('The master key was exchanged; the former one could not be removed from its place.', {
      hint: 'The next exchange tries again.',
      next: ['cloud secrets rotate'],
      cause: error,
    });
  }
}

function presentPlace(entry: KeyEntry): KeySourceWish {
  if (entry.source !== 'vault') return { source: entry.source };
  const { address, mount, key, token_file: tokenFile } = entry;
  return { source: 'vault', vault: { address, mount, key, ...(tokenFile === undefined ? {} : { tokenFile }) } };
}

/** The environment can't be written to: whoever starts the system puts the new key there first. */
function givenKey(env: NodeJS.ProcessEnv, current: MasterKey): MasterKey {
  const found = keysIn(env).find(({ kid }) => kid !== current.kid);
  if (found !== undefined) return found;
  throw new UsageError('The environment holds no new master key.', {
    hint: 'Set SYSTEMPROMPT_MASTER_KEY_NEXT to 32 random bytes in base64url; once it is in use, move it to SYSTEMPROMPT_MASTER_KEY',
    data: { variable: 'SYSTEMPROMPT_MASTER_KEY_NEXT' },
  });
}

/** What can't be read stays as it is: it is no worse under the new key. */
async function encryptedAnew(
  content: SecretsFile,
  reader: SecretsReader,
  from: MasterKey,
  to: MasterKey,
): Promise<SecretsFile> {
  const secrets: SecretsFile['secrets'] = {};
  for (const [name, secret] of Object.entries(content.secrets)) {
    const versions = await Promise.all(
      secret.versions.map(async (stored) => {
        const value = await readable(reader.valueOf(content, name, stored));
        if (value === undefined) return stored;
        return {
          ...stored,
          jwe: await encryptFor(subjectOf(name, stored.number), new TextEncoder().encode(value), to),
        };
      }),
    );
    secrets[name] = { ...secret, versions };
  }
  const former: SecretsFile['former_keys'] = [];
  for (const old of content.former_keys) {
    const bytes = await readable(reader.decrypt(content, old.jwe, [`master-key:${old.kid}`], 'A former master key'));
    if (bytes !== undefined) former.push({ ...old, jwe: await encryptFor(`master-key:${old.kid}`, bytes, to) });
  }
  const retired = { kid: from.kid, retired_at: new Date().toISOString() };
  former.push({ ...retired, jwe: await encryptFor(`master-key:${from.kid}`, from.bytes, to) });
  const fingerprintKey = await encryptFor('fingerprint-key', await reader.fingerprintKey(content), to);
  return { version: 2, key: to.kid, secrets, former_keys: former, fingerprint_key: fingerprintKey };
}

async function readable<T>(work: Promise<T>): Promise<T | undefined> {
  return await work.catch((error: unknown) => {
    if (error instanceof PreconditionError) return undefined;
    throw error;
  });
}
