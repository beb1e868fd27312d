import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { hasCode } from '../../infra/process/identity.ts';
import { AppError, NotFoundError, PreconditionError } from '../../shared/errors.ts';
import { type BackupRecord, magic, recordSchema } from './backup-format.ts';

/** A record, and behind one of type `data` its bytes. */
export interface BackupItem {
  readonly record: BackupRecord;
  readonly bytes?: Buffer;
}

const longestLine = 64 * 1024 * 1024;

/**
 * Everything that is in a backup, in its order, as it is unpacked. The sum at its end is checked, so that whoever reads to the
 * end knows that it is whole.
 * @throws NotFoundError; PreconditionError saying that it is no backup, of a newer format, damaged or cut off
 */
export async function* readBackup(path: string): AsyncGenerator<BackupItem> {
  const file = createReadStream(path, { highWaterMark: 1024 * 1024 });
  const unpacked = createGunzip({ chunkSize: 256 * 1024 });
  file.once('error', (error) => unpacked.destroy(error));
  const source = new Source(file.pipe(unpacked));
  try {
    yield* recordsOf(path, source);
  } catch (error) {
    throw readFailure(path, error);
  } finally {
    file.destroy();
    unpacked.destroy();
  }
}

async function* recordsOf(path: string, source: Source): AsyncGenerator<BackupItem> {
  const first = (await source.take(magic.length)).toString('utf8');
  if (first !== magic) {
    const newer = /^systemprompt backup (\d+)/.exec(first)?.[1];
    throw notWhole(
      path,
      newer === undefined ? 'it is no backup' : `it has format ${newer}, which a newer version wrote`,
    );
  }
  for (;;) {
    const sha256 = source.sum();
    const line = await source.line();
    if (line === undefined) throw notWhole(path, 'its end is missing');
    const parsed = recordSchema.safeParse(parse(line));
    if (!parsed.success) throw notWhole(path, 'it holds something that is no record of a backup');
    const record = parsed.data;
    if (record.type === 'data') {
      yield { record, bytes: await source.take(record.bytes) };
      continue;
    }
    if (record.type === 'sum') {
      if (record.sha256 !== sha256) throw notWhole(path, 'its content does not fit the sum at its end');
      if ((await source.line()) !== undefined) throw notWhole(path, 'something stands behind its end');
      return;
    }
    yield { record };
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // no record: said by whoever asked
  }
}

/** Bytes that come in pieces, taken out by length or by line; all that is taken goes into one sum. */
class Source {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #sum = createHash('sha256');
  #held: Buffer[] = [];
  #length = 0;

  constructor(stream: AsyncIterable<Buffer>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  /** Over everything that has been taken. */
  sum(): string {
    return this.#sum.copy().digest('hex');
  }

  /** @throws when there is less */
  async take(bytes: number): Promise<Buffer> {
    while (this.#length < bytes) if (!(await this.#more())) throw new EndedEarly();
    const all = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held, this.#length);
    const taken = all.subarray(0, bytes);
    this.#held = [all.subarray(bytes)];
    this.#length -= bytes;
    this.#sum.update(taken);
    return taken;
  }

  /** Without the line feed; `undefined` at the end. */
  async line(): Promise<string | undefined> {
    let before = 0;
    for (let index = 0; ; index += 1) {
      while (index >= this.#held.length) {
        if (await this.#more()) continue;
        if (this.#length === 0) return undefined;
        throw new EndedEarly();
      }
      const chunk = this.#held[index] as Buffer;
      const at = chunk.indexOf(10);
      if (at >= 0) return (await this.take(before + at + 1)).toString('utf8', 0, before + at);
      before += chunk.length;
      if (before > longestLine) throw new EndedEarly();
    }
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (done === true) return false;
    this.#held.push(value);
    this.#length += value.length;
    return true;
  }
}

class EndedEarly extends Error {}

function readFailure(path: string, error: unknown): unknown {
  if (error instanceof AppError) return error;
  if (error instanceof EndedEarly) return notWhole(path, 'it is cut off', error);
  if (hasCode(error, 'ENOENT')) return new NotFoundError(`There is no file ${path}.`, { cause: error });
  if (hasCode(error, 'EACCES', 'EISDIR')) return notWhole(path, (error as Error).message, error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'Z_BUF_ERROR') return notWhole(path, 'it is cut off', error);
  if (code.startsWith('Z_')) return notWhole(path, 'it is damaged, or no backup', error);
  return error;
}

/** The error for a backup that can't be used. */
export function notWhole(path: string, why: string, cause?: unknown): PreconditionError {
  return new PreconditionError(`The backup ${path} can't be used: ${why}.`, {
    hint: 'Nothing was changed. Use another backup.',
    data: { file: path },
    ...(cause === undefined ? {} : { cause }),
  });
}
