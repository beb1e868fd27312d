import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../infra/process/identity.ts';
import { NotFoundError, UsageError } from '../shared/errors.ts';

const flushBytes = 256 * 1024;

/**
 * Writes a file of text as it comes; the file is there when all of it is, and readable to its owner alone.
 *
 * @param overwrite whether a file of that name may be replaced
 * @returns how many bytes
 * @throws UsageError when the file is there already; NotFoundError when its folder is not
 */
export async function writeExport(parts: AsyncIterable<string>, file: string, overwrite: boolean): Promise<number> {
  if (!overwrite && (await isThere(file))) {
    throw new UsageError(`${file} is there already`, { hint: 'Name another file, or add --overwrite' });
  }
  const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    let bytes = 0;
    try {
      let waiting = '';
      const flush = async (): Promise<void> => {
        bytes += Buffer.byteLength(waiting);
        await handle.writeFile(waiting);
        waiting = '';
      };
      for await (const part of parts) {
        waiting += part;
        if (waiting.length > flushBytes) await flush();
      }
      await flush();
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    return bytes;
  } catch (error) {
    await rm(temporary, { force: true });
    if (hasCode(error, 'ENOENT')) throw new NotFoundError(`There is no folder ${dirname(file)}`, { cause: error });
    throw error;
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    await (await open(file, 'r')).close();
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/**
 * A field of RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe: the text may come from
 * anybody.
 */
export function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
