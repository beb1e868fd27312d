import { createHash, type Hash } from 'node:crypto';
import type { BackupHead, BackupManifest, SchemaRecord, TableFacts } from './backup-format.ts';
import { type BackupItem, notWhole, readBackup } from './backup-reader.ts';

/** What a backup says of itself, all of it checked against what is in it. */
export interface VerifiedBackup {
  readonly head: BackupHead;
  readonly schemas: readonly SchemaRecord[];
  readonly manifest: BackupManifest;
}

/**
 * Reads a backup to its end: format, sums, and that it holds what its manifest says.
 * @throws NotFoundError; PreconditionError saying what is wrong
 */
export async function verifyBackup(path: string, signal?: AbortSignal): Promise<VerifiedBackup> {
  const verifier = new Verifier(path);
  for await (const item of readBackup(path)) {
    signal?.throwIfAborted();
    verifier.take(item);
  }
  return verifier.result();
}

class Verifier {
  readonly #path: string;
  #head: BackupHead | undefined;
  #manifest: BackupManifest | undefined;
  readonly #schemas: SchemaRecord[] = [];
  readonly #tables: TableFacts[] = [];
  /** The table whose rows are being read. */
  #open: { readonly name: string; readonly sum: Hash; bytes: number } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  take({ record, bytes }: BackupItem): void {
    if (this.#manifest !== undefined || (this.#head === undefined) !== (record.type === 'head')) throw this.#disorder();
    if ((this.#open !== undefined) !== (record.type === 'data' || record.type === 'end')) throw this.#disorder();
    switch (record.type) {
      case 'head':
        this.#head = record;
        break;
      case 'schema':
        this.#schemas.push(record);
        break;
      case 'table':
        this.#open = { name: `${record.schema}.${record.name}`, sum: createHash('sha256'), bytes: 0 };
        break;
      case 'data':
        this.#rows(bytes ?? Buffer.alloc(0));
        break;
      case 'end':
        this.#end(record);
        break;
      case 'manifest':
        this.#manifest = record;
        break;
      default:
        throw this.#disorder();
    }
  }

  result(): VerifiedBackup {
    const head = this.#head;
    const manifest = this.#manifest;
    if (head === undefined || manifest === undefined) throw this.#disorder();
    if (JSON.stringify(this.#tables) !== JSON.stringify(manifest.tables))
      throw notWhole(this.#path, 'its tables are not those of its manifest');
    return { head, schemas: this.#schemas, manifest };
  }

  #rows(bytes: Buffer): void {
    if (this.#open === undefined) throw this.#disorder();
    this.#open.sum.update(bytes);
    this.#open.bytes += bytes.length;
  }

  #end({ schema, name, rows, bytes, sha256 }: TableFacts): void {
    const open = this.#open;
    if (open === undefined || open.name !== `${schema}.${name}`) throw this.#disorder();
    if (open.sum.digest('hex') !== sha256 || open.bytes !== bytes)
      throw notWhole(this.#path, `the rows of ${open.name} do not fit their sum`);
    this.#tables.push({ schema, name, rows, bytes, sha256 });
    this.#open = undefined;
  }

  #disorder(): Error {
    return notWhole(this.#path, 'its parts are not in order');
  }
}
