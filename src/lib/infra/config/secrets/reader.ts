import { hkdfSync } from 'node:crypto';
import { PreconditionError } from '../../../shared/errors.ts';
import type { MasterKey } from '../master-key.ts';
import { decryptFrom, encryptFor, keyNamedBy } from './envelope.ts';
import { type SecretsFile, type StoredVersion, subjectOf, subjectOfFirstFormat } from './file.ts';
import type { KeyRing } from './key-ring.ts';

/** Opens what secrets.json holds, with the keys that can be had. */
export class SecretsReader {
  readonly #file: string;
  readonly #ring: KeyRing;

  /** @param file how messages name it */
  constructor(file: string, ring: KeyRing) {
    this.#file = file;
    this.#ring = ring;
  }

  /** Follows from the master key, until that one is exchanged: then the key of before is kept, so that no digest changes. */
  async fingerprintKey(content: SecretsFile): Promise<Uint8Array> {
    if (content.fingerprint_key !== undefined) {
      return await this.decrypt(content, content.fingerprint_key, ['fingerprint-key'], 'The key of fingerprints');
    }
    const { bytes } = await this.currentKey(content);
    return new Uint8Array(hkdfSync('sha256', bytes, new Uint8Array(), 'systemprompt configuration fingerprint', 32));
  }

  /** The key under which this content is encrypted and goes on to be. */
  async currentKey(content: SecretsFile): Promise<MasterKey> {
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
    const key = await this.currentKey(content);
    const bytes = await decryptFrom(former.jwe, [subject], `The former master key ${kid}`, async (name) =>
      name === key.kid ? key : undefined,
    );
    return { kid, bytes };
  }

  /** @throws PreconditionError when it can't be opened */
  async decrypt(content: SecretsFile, jwe: string, subjects: readonly string[], what: string): Promise<Uint8Array> {
    return await decryptFrom(jwe, subjects, what, (kid) => this.#keyFor(content, kid));
  }

  /** The value of one version. @throws PreconditionError when it can't be opened */
  async valueOf(content: SecretsFile, name: string, { number, jwe }: StoredVersion): Promise<string> {
    const subjects = [subjectOf(name, number)];
    // A file of the first format says nothing of versions, and has no key of its own.
    if (content.key === undefined) subjects.push(subjectOfFirstFormat(name));
    const what = `The secret \`${name}\` in ${this.#file}`;
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(await this.decrypt(content, jwe, subjects, what));
  }

  /** Content of the first format as the second has it. What can't be read stays as it is, so that it is told as that and no other secret suffers from it. */
  async migrated(content: SecretsFile): Promise<SecretsFile> {
    const named = Object.values(content.secrets).flatMap(({ versions }) => versions.map(({ jwe }) => keyNamedBy(jwe)));
    const known = (await Promise.all(named.map((kid) => (kid === undefined ? undefined : this.#ring.find(kid))))).find(
      (found) => found !== undefined,
    );
    const key = known ?? this.#ring.newest;
    const secrets: SecretsFile['secrets'] = {};
    for (const [name, secret] of Object.entries(content.secrets)) {
      const versions = await Promise.all(
        secret.versions.map(async (stored) => {
          const value = await this.valueOf(content, name, stored).catch((error: unknown) => {
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
