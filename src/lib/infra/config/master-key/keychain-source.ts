import { randomUUID } from 'node:crypto';
import { PreconditionError } from '../../../shared/errors.ts';
import { Keychain } from '../keychain.ts';
import { type MasterKey, masterKeyText, parseMasterKey } from '../master-key.ts';
import type { KeyEntry } from './record.ts';
import type { KeySurroundings, MasterKeySource } from './source.ts';

type KeychainEntry = Extract<KeyEntry, { source: 'keychain' }>;

/** The key in the key chain of the operating system. */
export class KeychainSource implements MasterKeySource<KeychainEntry> {
  readonly #keychain: Keychain;

  constructor({ env }: KeySurroundings, platform: NodeJS.Platform = process.platform) {
    this.#keychain = new Keychain({
      env,
      platform,
      label: 'systemprompt master key',
      hint: 'Install it (Debian, Ubuntu: apt install libsecret-tools), or keep the master key elsewhere.',
    });
  }

  async read({ account, kid }: KeychainEntry): Promise<MasterKey> {
    const text = await this.#keychain.read(account);
    if (text === undefined) {
      throw new PreconditionError('The key chain has no master key of this instance.', {
        hint: 'Unlock the key chain of the user that runs the system, then try again.',
      });
    }
    const key = parseMasterKey(text);
    if (key?.kid === kid) return key;
    throw new PreconditionError('What the key chain keeps for this instance is another key.', {
      hint: 'Restore the key chain, and secrets.json with master-key.json, from the same backup.',
    });
  }

  async prepare(key: MasterKey): Promise<KeychainEntry> {
    return { source: 'keychain', kid: key.kid, account: randomUUID() };
  }

  async keep(key: MasterKey, entry: KeychainEntry): Promise<void> {
    await this.#keychain.store(entry.account, masterKeyText(key));
  }

  async settle(): Promise<void> {}

  async drop({ account }: KeychainEntry): Promise<void> {
    await this.#keychain.remove(account);
  }
}
