import type { MasterKey } from '../master-key.ts';
import type { KeyEntry, KeySourceName } from './record.ts';

/** What a source needs to know of its surroundings. */
export interface KeySurroundings {
  /** The instance's private folder. */
  readonly dir: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Settings of a source that a user gives when the key is put there. */
export interface KeySourceWish {
  readonly source: KeySourceName;
  readonly vault?: {
    readonly address: string;
    readonly mount: string;
    readonly key: string;
    readonly tokenFile?: string;
  };
}

/** A place that keeps master keys: the port behind which files, key chains and key management services look alike. */
export interface MasterKeySource<E extends KeyEntry = KeyEntry> {
  /** @throws PreconditionError when it is not there, can't be read or is another key than the entry names */
  read(entry: E): Promise<MasterKey>;
  /**
   * The entry under which a new key will be kept; nothing that lasts is done yet.
   * @throws PreconditionError when the place can't take it
   */
  prepare(key: MasterKey, wish: KeySourceWish): Promise<E>;
  /** Puts the key there, beside the one in use. */
  keep(key: MasterKey, entry: E): Promise<void>;
  /** The key is the one in use from now on. May be repeated. */
  settle(entry: E): Promise<void>;
  /** Removes a key that nobody uses any more. May be repeated. */
  drop(entry: E): Promise<void>;
}
