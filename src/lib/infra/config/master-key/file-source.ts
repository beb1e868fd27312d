import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeFileAtomic } from '../atomic-file.ts';
import { type MasterKey, masterKeyText, readMasterKey } from '../master-key.ts';
import type { KeyEntry } from './record.ts';
import type { KeySurroundings, MasterKeySource } from './source.ts';

type FileEntry = Extract<KeyEntry, { source: 'file' }>;

/** The key in a file of the instance's folder that only its owner can read. */
export class FileSource implements MasterKeySource<FileEntry> {
  readonly #dir: string;
  readonly #file: string;
  /** Holds the new key while both are needed. */
  readonly #next: string;

  constructor({ dir }: KeySurroundings) {
    this.#dir = dir;
    this.#file = join(dir, 'master.key');
    this.#next = join(dir, 'master.key.next');
  }

  async read(entry: FileEntry): Promise<MasterKey> {
    if (entry.kid !== undefined && existsSync(this.#next)) {
      const next = await readMasterKey(this.#next);
      if (next.kid === entry.kid) return next;
    }
    return await readMasterKey(this.#file);
  }

  async prepare(key: MasterKey): Promise<FileEntry> {
    return { source: 'file', kid: key.kid };
  }

  async keep(key: MasterKey): Promise<void> {
    await writeFileAtomic(this.#next, `${masterKeyText(key)}\n`, 0o600);
  }

  async settle({ kid }: FileEntry): Promise<void> {
    if (!existsSync(this.#next) || (await readMasterKey(this.#next)).kid !== kid) return;
    await rename(this.#next, this.#file);
    await syncFolder(this.#dir);
  }

  async drop({ kid }: FileEntry): Promise<void> {
    for (const file of [this.#file, this.#next]) {
      if (existsSync(file) && (kid === undefined || (await readMasterKey(file)).kid === kid)) await rm(file);
    }
    await syncFolder(this.#dir);
  }
}
