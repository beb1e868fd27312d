import { join } from 'node:path';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { z } from 'zod';
import { PreconditionError, UsageError } from '../../shared/errors.ts';
import { readJson, writeFileAtomic } from './atomic-file.ts';
import { withFileLock } from './file-lock.ts';
import { type MasterKey, readMasterKey } from './master-key.ts';
import { secretReference } from './secret-reference.ts';

/** The secrets that every instance has from its creation: passwords of the database roles, root of the identity keys. */
export const INSTANCE_SECRETS = [
  'database.owner',
  'database.app',
  'database.audit',
  'database.superuser',
  'identity.root',
] as const;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const VALUE_BYTES_MAX = 64 * 1024;

const secretsFileSchema = z.strictObject({
  version: z.literal(1),
  secrets: z.record(z.string().regex(NAME), z.string()),
});
type SecretsFile = z.infer<typeof secretsFileSchema>;

/** Values that are kept encrypted under the instance's master key. Reads see what other processes wrote. */
export interface SecretStore {
  get(name: string): Promise<string | undefined>;
  /** @throws PreconditionError when it is not set */
  require(name: string): Promise<string>;
  /** Of two writers at once, in one process or in two, neither loses. */
  set(name: string, value: string): Promise<void>;
  names(): Promise<string[]>;
  /** Encrypts what is kept elsewhere, in the database say: a compact JWE that only `open` of this instance reads. */
  seal(bytes: Uint8Array): Promise<string>;
  /** @throws PreconditionError when it was not sealed here, or is damaged */
  open(jwe: string): Promise<Uint8Array>;
}

/**
 * Opens the store of an instance.
 * @throws PreconditionError when the master key is missing, damaged, open to others or another user's
 */
export async function openSecretStore(instance: { readonly dir: string }): Promise<SecretStore> {
  const key = await readMasterKey(join(instance.dir, 'master.key'));
  return new FileSecretStore(join(instance.dir, 'secrets.json'), key);
}

/**
 * The value that a configuration field stands for: itself, or the secret that it refers to.
 * @throws PreconditionError when that secret is not set
 */
export async function resolveSecretReference(value: string, secrets: Pick<SecretStore, 'require'>): Promise<string> {
  const name = secretReference(value);
  return name === undefined ? value : secrets.require(name);
}

class FileSecretStore implements SecretStore {
  readonly #file: string;
  readonly #key: MasterKey;

  constructor(file: string, key: MasterKey) {
    this.#file = file;
    this.#key = key;
  }

  async get(name: string): Promise<string | undefined> {
    const { secrets } = await this.#read();
    if (!Object.hasOwn(secrets, name)) return undefined;
    const bytes = await this.#decrypt(secrets[name] ?? '', `secret:${name}`, `The secret \`${name}\` in ${this.#file}`);
    return new TextDecoder().decode(bytes);
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
    if (!NAME.test(name)) {
      throw new UsageError('That is no name for a secret.', {
        hint: 'Use letters, digits, dots, dashes and underscores, at most 128, beginning with a letter or digit.',
      });
    }
    if (Buffer.byteLength(value) > VALUE_BYTES_MAX) {
      throw new UsageError(`The value of \`${name}\` is larger than ${VALUE_BYTES_MAX} bytes.`);
    }
    const jwe = await this.#encrypt(new TextEncoder().encode(value), `secret:${name}`);
    await withFileLock(`${this.#file}.lock`, async () => {
      const current = await this.#read();
      const next: SecretsFile = { version: 1, secrets: { ...current.secrets, [name]: jwe } };
      await writeFileAtomic(this.#file, `${JSON.stringify(next, undefined, 2)}\n`, 0o600);
    });
  }

  async names(): Promise<string[]> {
    return Object.keys((await this.#read()).secrets).sort();
  }

  seal(bytes: Uint8Array): Promise<string> {
    return this.#encrypt(bytes, 'sealed');
  }

  open(jwe: string): Promise<Uint8Array> {
    return this.#decrypt(jwe, 'sealed', 'A sealed value');
  }

  async #read(): Promise<SecretsFile> {
    return (await readJson(this.#file, secretsFileSchema)) ?? { version: 1, secrets: {} };
  }

  /** `sub` is authenticated with the rest of the header, so that one secret's envelope can't be put under another's name. */
  #encrypt(bytes: Uint8Array, sub: string): Promise<string> {
    return new CompactEncrypt(bytes)
      .setProtectedHeader({ alg: 'A256GCMKW', enc: 'A256GCM', kid: this.#key.kid, sub })
      .encrypt(this.#key.bytes);
  }

  async #decrypt(jwe: string, sub: string, what: string): Promise<Uint8Array> {
    let kid: unknown;
    try {
      const { plaintext, protectedHeader } = await compactDecrypt(
        jwe,
        (header) => {
          kid = header.kid;
          return this.#key.bytes;
        },
        { keyManagementAlgorithms: ['A256GCMKW'], contentEncryptionAlgorithms: ['A256GCM'] },
      );
      if (protectedHeader.sub === sub) return plaintext;
    } catch (error) {
      throw unreadable(what, kid !== undefined && kid !== this.#key.kid, error);
    }
    throw unreadable(what, false);
  }
}

function unreadable(what: string, otherKey: boolean, cause?: unknown): PreconditionError {
  const reason = otherKey ? 'was encrypted under another master key' : 'is damaged';
  return new PreconditionError(`${what} ${reason}.`, {
    hint: 'Restore secrets.json and master.key from the same backup, or set the secret anew.',
    ...(cause === undefined ? {} : { cause }),
  });
}
