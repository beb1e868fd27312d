import { createHmac, hkdfSync } from 'node:crypto';
import { PreconditionError } from '../../../shared/errors.ts';
import { withFileLock } from '../file-lock.ts';
import type { MasterKey } from '../master-key.ts';
import { decryptFrom, encryptFor, keyNamedBy } from './envelope.ts';
import {
  readSecrets,
  type SecretsFile,
  type StoredVersion,
  subjectOf,
  subjectOfFirstFormat,
  versionOf,
  withVersion,
  writeSecrets,
} from './file.ts';
import type { KeyRing } from './key-ring.ts';
import { assertSecretName, assertSecretValue } from './names.ts';
import type { SecretChange, SecretInfo, SecretStore, SetOptions } from './port.ts';

/** What envelopes that are kept elsewhere say that they hold. */
const sealed = 'sealed';

/** Secrets in a file, each version in an envelope of its own. */
export class FileSecretStore implements SecretStore {
  readonly #file: string;
  readonly #ring: KeyRing;

  constructor(file: string, ring: KeyRing) {
    this.#file = file;
    this.#ring = ring;
  }

  async get(name: string): Promise<string | undefined> {
    return (await this.version(name))?.value;
  }

  async version(name: string, number?: number): Promise<{ value: string; number: number } | undefined> {
    const { content } = await readSecrets(this.#file);
    const found = versionOf(content, name, number);
    if (found === undefined) return undefined;
    return { value: await this.#valueOf(content, name, found), number: found.number };
  }

  async require(name: string): Promise<string> {
    const value = await this.get(name);
    if (value !== undefined) return value;
    throw new PreconditionError(`The secret \`${name}\` is not set.`, {
      hint: `It belongs in ${this.#file}, encrypted. If it was there before, restore that file from a backup.`,
      data: { secret: name },
    });
  }

  async set(name: string, value: string): Promise<void> {
    await this.setMany(new Map([[name, value]]));
  }

  async setMany(values: ReadonlyMap<string, string>, options: SetOptions = {}): Promise<SecretChange[]> {
    for (const [name, value] of values) {
      assertSecretName(name);
      assertSecretValue(name, value);
    }
    return await this.#locked(async (before) => {
      let content = before;
      const changes: SecretChange[] = [];
      for (const [name, value] of values) {
        const current = versionOf(content, name);
        if (current !== undefined && (await this.#isValue(content, name, current, value))) {
          changes.push({ name, version: current.number, outcome: 'unchanged' });
          continue;
        }
        const number = (current?.number ?? 0) + 1;
        const key = await this.#currentKey(content);
        content = withVersion({ ...content, key: key.kid }, name, {
          number,
          created_at: new Date().toISOString(),
          ...(options.by === undefined ? {} : { by: options.by }),
          jwe: await encryptFor(subjectOf(name, number), new TextEncoder().encode(value), key),
        });
        changes.push({ name, version: number, outcome: current === undefined ? 'created' : 'updated' });
      }
      return { content: options.dryRun === true ? before : content, result: changes };
    });
  }

  async remove(names: readonly string[]): Promise<string[]> {
    return await this.#locked(async (content) => {
      const removed = names.filter((name) => Object.hasOwn(content.secrets, name));
      const rest = Object.entries(content.secrets).filter(([name]) => !removed.includes(name));
      return { content: { ...content, secrets: Object.fromEntries(rest) }, result: removed };
    });
  }

  async names(): Promise<string[]> {
    return Object.keys((await readSecrets(this.#file)).content.secrets).sort();
  }

  async describe(): Promise<SecretInfo[]> {
    const { secrets } = (await readSecrets(this.#file)).content;
    const infos = Object.entries(secrets).map(([name, { current, versions }]) => ({
      name,
      current,
      versions: versions.map(({ number, created_at, by }) => ({
        number,
        createdAt: created_at,
        ...(by === undefined ? {} : { by }),
      })),
    }));
    return infos.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async fingerprint(text: string): Promise<string> {
    const { content } = await readSecrets(this.#file);
    return createHmac('sha256', await this.fingerprintKey(content))
      .update(text)
      .digest('base64url');
  }

  /** Follows from the master key, until that one is exchanged: then the key of before is kept, so that no digest changes. */
  async fingerprintKey(content: SecretsFile): Promise<Uint8Array> {
    if (content.fingerprint_key !== undefined) {
      return await this.#decrypt(content, content.fingerprint_key, ['fingerprint-key'], 'The key of fingerprints');
    }
    const { bytes } = await this.#currentKey(content);
    return new Uint8Array(hkdfSync('sha256', bytes, new Uint8Array(), 'systemprompt configuration fingerprint', 32));
  }

  async seal(bytes: Uint8Array): Promise<string> {
    const { content } = await readSecrets(this.#file);
    return await encryptFor(sealed, bytes, await this.#currentKey(content));
  }

  async open(jwe: string): Promise<Uint8Array> {
    const { content } = await readSecrets(this.#file);
    return await this.#decrypt(content, jwe, [sealed], 'A sealed value');
  }

  /** The key under which this content is encrypted and goes on to be. */
  async #currentKey(content: SecretsFile): Promise<MasterKey> {
    if (content.key === undefined) return this.#ring.newest;
    const key = await this.#ring.find(content.key);
    if (key !== undefined) return key;
    throw new PreconditionError(`${this.#file} is encrypted under another master key.`, {
      hint: 'Restore secrets.json and its master key from the same backup.',
    });
  }

  /** A key of a source, or one of before, which is kept under that of today. */
  async #keyFor(content: SecretsFile, kid: string): Promise<MasterKey | undefined> {
    const former = content.former_keys.find((entry) => entry.kid === kid);
    if (former === undefined || kid === content.key) return await this.#ring.find(kid);
    const subject = `master-key:${kid}`;
    const key = await this.#currentKey(content);
    const bytes = await decryptFrom(former.jwe, [subject], `The former master key ${kid}`, async (name) =>
      name === key.kid ? key : undefined,
    );
    return { kid, bytes };
  }

  async #decrypt(content: SecretsFile, jwe: string, subjects: readonly string[], what: string): Promise<Uint8Array> {
    return await decryptFrom(jwe, subjects, what, (kid) => this.#keyFor(content, kid));
  }

  async #valueOf(content: SecretsFile, name: string, { number, jwe }: StoredVersion): Promise<string> {
    const subjects = [subjectOf(name, number)];
    // A file of the first format says nothing of versions, and has no key of its own.
    if (content.key === undefined) subjects.push(subjectOfFirstFormat(name));
    const what = `The secret \`${name}\` in ${this.#file}`;
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await this.#decrypt(content, jwe, subjects, what));
  }

  async #isValue(content: SecretsFile, name: string, stored: StoredVersion, value: string): Promise<boolean> {
    try {
      return (await this.#valueOf(content, name, stored)) === value;
    } catch (error) {
      if (error instanceof PreconditionError) return false; // damaged: a new value mends it
      throw error;
    }
  }

  /** Reads, changes and writes while nobody else does; a file of the first format is brought to the second with it. */
  async #locked<T>(change: (content: SecretsFile) => Promise<{ content: SecretsFile; result: T }>): Promise<T> {
    return await withFileLock(`${this.#file}.lock`, async () => {
      const { content: read, outdated } = await readSecrets(this.#file);
      const { content, result } = await change(outdated ? await this.#migrated(read) : read);
      if (content !== read) await writeSecrets(this.#file, content);
      return result;
    });
  }

  /** What can't be read stays as it is, so that it is told as that and no other secret suffers from it. */
  async #migrated(content: SecretsFile): Promise<SecretsFile> {
    const named = Object.values(content.secrets).flatMap(({ versions }) => versions.map(({ jwe }) => keyNamedBy(jwe)));
    const known = (await Promise.all(named.map((kid) => (kid === undefined ? undefined : this.#ring.find(kid))))).find(
      (found) => found !== undefined,
    );
    const key = known ?? this.#ring.newest;
    const secrets: SecretsFile['secrets'] = {};
    for (const [name, secret] of Object.entries(content.secrets)) {
      const versions = await Promise.all(
        secret.versions.map(async (stored) => {
          const value = await this.#valueOf(content, name, stored).catch((error: unknown) => {
            if (error instanceof PreconditionError) return undefined;
            throw error;
          });
          if (value === undefined) return stored;
          const bytes = new TextEncoder().encode(value);
          return { ...stored, jwe: await encryptFor(subjectOf(name, stored.number), bytes, key) };
        }),
      );
      secrets[name] = { ...secret, versions };
    }
    return { ...content, key: key.kid, secrets };
  }
}
