import { createHmac } from 'node:crypto';
import { PreconditionError } from '../../../shared/errors.ts';
import { withFileLock } from '../file-lock.ts';
import { encryptFor } from './envelope.ts';
import {
  readSecrets,
  type SecretsFile,
  type StoredVersion,
  subjectOf,
  versionOf,
  withVersion,
  writeSecrets,
} from './file.ts';
import type { KeyRing } from './key-ring.ts';
import { assertSecretName, assertSecretValue } from './names.ts';
import type { SecretChange, SecretInfo, SecretStore, SetOptions } from './port.ts';
import { SecretsReader } from './reader.ts';

/** What envelopes that are kept elsewhere say that they hold. */
const sealed = 'sealed';

/** Secrets in a file, each version in an envelope of its own. */
export class FileSecretStore implements SecretStore {
  readonly #file: string;
  readonly #reader: SecretsReader;

  constructor(file: string, ring: KeyRing) {
    this.#file = file;
    this.#reader = new SecretsReader(file, ring);
  }

  async get(name: string): Promise<string | undefined> {
    return (await this.version(name))?.value;
  }

  async version(name: string, number?: number): Promise<{ value: string; number: number } | undefined> {
    const { content } = await readSecrets(this.#file);
    const found = versionOf(content, name, number);
    if (found === undefined) return undefined;
    return { value: await this.#reader.valueOf(content, name, found), number: found.number };
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
        const key = await this.#reader.currentKey(content);
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
    return createHmac('sha256', await this.#reader.fingerprintKey(content))
      .update(text)
      .digest('base64url');
  }

  async seal(bytes: Uint8Array): Promise<string> {
    const { content } = await readSecrets(this.#file);
    return await encryptFor(sealed, bytes, await this.#reader.currentKey(content));
  }

  async open(jwe: string): Promise<Uint8Array> {
    const { content } = await readSecrets(this.#file);
    return await this.#reader.decrypt(content, jwe, [sealed], 'A sealed value');
  }

  async #isValue(content: SecretsFile, name: string, stored: StoredVersion, value: string): Promise<boolean> {
    try {
      return (await this.#reader.valueOf(content, name, stored)) === value;
    } catch (error) {
      if (error instanceof PreconditionError) return false; // damaged: a new value mends it
      throw error;
    }
  }

  /** Reads, changes and writes while nobody else does; a file of the first format is brought to the second with it. */
  async #locked<T>(change: (content: SecretsFile) => Promise<{ content: SecretsFile; result: T }>): Promise<T> {
    return await withFileLock(`${this.#file}.lock`, async () => {
      const { content: read, outdated } = await readSecrets(this.#file);
      const { content, result } = await change(outdated ? await this.#reader.migrated(read) : read);
      if (content !== read) await writeSecrets(this.#file, content);
      return result;
    });
  }
}
