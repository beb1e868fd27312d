import type { KeySourceName } from './record.ts';
import type { KeySurroundings, MasterKeySource } from './source.ts';

/** The source behind an entry; each is loaded only where it is used. */
export async function keySource(name: KeySourceName, around: KeySurroundings): Promise<MasterKeySource> {
  switch (name) {
    case 'file':
      return new (await import('./file-source.ts')).FileSource(around) as MasterKeySource;
    case 'environment':
      return new (await import('./environment-source.ts')).EnvironmentSource(around) as MasterKeySource;
    case 'keychain':
      return new (await import('./keychain-source.ts')).KeychainSource(around) as MasterKeySource;
    case 'vault':
      return new (await import('./vault-source.ts')).VaultSource(around) as MasterKeySource;
  }
}
