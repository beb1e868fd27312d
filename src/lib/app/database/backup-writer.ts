import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { constants, createGzip, type Gzip } from 'node:zlib';
import { syncFolder } from '../../infra/config/atomic-file.ts';
import { hasCode } from '../../infra/process/identity.ts';
import { ConflictError, PreconditionError } from '../../shared/errors.ts';
import { type BackupRecord, magic } from './backup-format.ts';

const frameBytes = 256 * 1024;

/** Writes a backup beside its place and moves it there when it is whole: mode 0600 from the first byte on. */
export class BackupWriter {
  readonly #path: string;
  readonly #draft: string;
  readonly #handle: FileHandle;
  readonly #gzip: Gzip;
  readonly #written: Promise<void>;
  readonly #sum = createHash('sha256');
  #parts: Buffer[] = [];
  #waiting = 0;

  private constructor(path: string, draft: string, handle: FileHandle) {
    this.#path = path;
    this.#draft = draft;
    this.#handle = handle;
    // The fastest level: what takes longest is the server, and rows of text shrink well at any.
    this.#gzip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: frameBytes });
    this.#written = this.#pump();
    this.#written.catch(() => undefined); // told by whoever waits for it
  }

  /** @throws ConflictError when there is such a file; PreconditionError when none can be made there */
  static async create(path: string): Promise<BackupWriter> {
    const existing = await open(path, 'r').catch(() => undefined);
    await existing?.close();
    if (existing !== undefined) {
      throw new ConflictError(`There is a file ${path} already.`, {
        hint: 'Name another with --output.',
        next: ['infra db backup --help'],
      });
    }
    const draft = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
    try {
      const handle = await open(draft, 'wx', 0o600);
      await handle.chmod(0o600);
      const writer = new BackupWriter(path, draft, handle);
      await writer.#send(Buffer.from(magic));
      return writer;
    } catch (cause) {
      const why = hasCode(cause, 'ENOENT') ? 'there is no such folder' : (cause as Error).message;
      throw new PreconditionError(`The backup can't be written to ${path}: ${why}.`, { cause });
    }
  }

  async record(record: BackupRecord): Promise<void> {
    await this.#flush();
    await this.#send(Buffer.from(`${JSON.stringify(record)}\n`));
  }

  /** Rows of the table whose record came last. Waits while the disk is slower than the server. */
  async rows(chunk: Buffer): Promise<void> {
    this.#parts.push(chunk);
    this.#waiting += chunk.length;
    if (this.#waiting >= frameBytes) await this.#flush();
  }

  /** Makes it whole and puts it in its place. @returns its size in bytes */
  async finish(): Promise<number> {
    await this.#flush();
    const sha256 = this.#sum.copy().digest('hex');
    await this.#send(Buffer.from(`${JSON.stringify({ type: 'sum', sha256 })}\n`));
    this.#gzip.end();
    await this.#written;
    await this.#handle.sync();
    const { size } = await this.#handle.stat();
    await this.#handle.close();
    await rename(this.#draft, this.#path);
    await syncFolder(dirname(this.#path));
    return size;
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    this.#gzip.destroy();
    await this.#handle.close().catch(() => undefined); // closed already by a finish that failed late
    await rm(this.#draft, { force: true });
  }

  async #pump(): Promise<void> {
    for await (const chunk of this.#gzip) await this.#handle.writeFile(chunk as Buffer);
  }

  async #flush(): Promise<void> {
    if (this.#waiting === 0) return;
    const bytes = this.#waiting;
    const parts = this.#parts;
    this.#parts = [];
    this.#waiting = 0;
    const header = Buffer.from(`${JSON.stringify({ type: 'data', bytes })}\n`);
    await this.#send(Buffer.concat([header, ...parts], header.length + bytes));
  }

  async #send(bytes: Buffer): Promise<void> {
    this.#sum.update(bytes);
    // A disk that is full ends the pump, and nothing would be taken any more.
    if (!this.#gzip.write(bytes)) await Promise.race([once(this.#gzip, 'drain'), this.#written]);
  }
}
