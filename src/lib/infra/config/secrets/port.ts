/** What is known of a secret without its value. */
export interface SecretInfo {
  readonly name: string;
  /** Number of the version that is in use. */
  readonly current: number;
  /** The versions that are kept, the oldest first. */
  readonly versions: readonly { readonly number: number; readonly createdAt: string; readonly by?: string }[];
}

export interface SecretChange {
  readonly name: string;
  readonly version: number;
  readonly outcome: 'created' | 'updated' | 'unchanged';
}

export interface SetOptions {
  /** Who sets it, for the record. */
  readonly by?: string;
  /** Only say what would change. */
  readonly dryRun?: boolean;
}

/** Values that are kept encrypted under the instance's master key. Reads see what other processes wrote. */
export interface SecretStore {
  get(name: string): Promise<string | undefined>;
  /** @throws PreconditionError when it is not set */
  require(name: string): Promise<string>;
  /** The version of that number, the current one without; undefined when it is not kept. */
  version(name: string, number?: number): Promise<{ readonly value: string; readonly number: number } | undefined>;
  /** Of two writers at once, in one process or in two, neither loses. The same value again is no new version. */
  set(name: string, value: string): Promise<void>;
  /** Sets all of them or, when one can't be set, none. @throws UsageError for a name or a value that can't be one */
  setMany(values: ReadonlyMap<string, string>, options?: SetOptions): Promise<SecretChange[]>;
  /** Erases secrets with all their versions. @returns those that there were */
  remove(names: readonly string[]): Promise<string[]>;
  names(): Promise<string[]>;
  /** All secrets by name, without values. */
  describe(): Promise<SecretInfo[]>;
  /** A digest of a text that holds secrets: HMAC-SHA256 under a key that only this instance has. */
  fingerprint(text: string): Promise<string>;
  /** Encrypts what is kept elsewhere, in the database say: a compact JWE that only `open` of this instance reads. */
  seal(bytes: Uint8Array): Promise<string>;
  /** @throws PreconditionError when it was not sealed here, or is damaged */
  open(jwe: string): Promise<Uint8Array>;
}
