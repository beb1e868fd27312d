import { readKeyRecord } from '../master-key/record.ts';
import { keySource } from '../master-key/sources.ts';
import { keySourceVariables } from '../master-key/variables.ts';
import type { MasterKey } from '../master-key.ts';

/** The variables that sources of keys read: a process may remove them from its environment once the ring is open. */
const keptVariables = [...keySourceVariables, 'PATH', 'HOME', 'XDG_RUNTIME_DIR'] as const;

/** The master keys that this process can come by, by their names. */
export class KeyRing {
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #keys = new Map<string, MasterKey>();
  #newest: MasterKey | undefined;

  private constructor(dir: string, env: NodeJS.ProcessEnv) {
    this.#dir = dir;
    this.#env = Object.fromEntries(
      keptVariables.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
    );
  }

  /** @throws PreconditionError when no key can be had */
  static async open(dir: string, env: NodeJS.ProcessEnv): Promise<KeyRing> {
    const ring = new KeyRing(dir, env);
    await ring.#load();
    return ring;
  }

  /** The key of the newest entry, for a store that holds nothing yet. */
  get newest(): MasterKey {
    if (this.#newest === undefined) throw new Error('The ring was not opened.');
    return this.#newest;
  }

  /** The key of that name; what is not known is looked for again, since another process may have exchanged the key. */
  async find(kid: string): Promise<MasterKey | undefined> {
    if (!this.#keys.has(kid)) await this.#load();
    return this.#keys.get(kid);
  }

  /** While keys are exchanged one of them may be missing: not there yet, or removed already. */
  async #load(): Promise<void> {
    const failures: unknown[] = [];
    let loaded = false;
    for (const entry of await readKeyRecord(this.#dir)) {
      try {
        const source = await keySource(entry.source, { dir: this.#dir, env: this.#env });
        const key = await source.read(entry);
        this.#keys.set(key.kid, key);
        this.#newest = key;
        loaded = true;
      } catch (error) {
        failures.push(error);
      }
    }
    if (!loaded) throw failures[0];
  }
}
