import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../../infra/process/identity.ts';
import { NotFoundError, UsageError } from '../../shared/errors.ts';
import type { LogEntry } from './entries.ts';

export const exportFormats = ['jsonl', 'json', 'csv'] as const;
export type ExportFormat = (typeof exportFormats)[number];

const flushBytes = 256 * 1024;
const columns = ['at', 'service', 'level', 'source', 'message', 'facts', 'trace'] as const;

/**
 * Writes entries to a file as they come; the file is there when all of it is.
 *
 * @param overwrite whether a file of that name may be replaced
 * @returns how many entries, and how many bytes
 * @throws UsageError when the file is there already; NotFoundError when its folder is not
 */
export async function exportEntries(
  entries: AsyncIterable<LogEntry>,
  file: string,
  { format, overwrite }: { readonly format: ExportFormat; readonly overwrite: boolean },
): Promise<{ count: number; bytes: number }> {
  if (!overwrite && (await isThere(file))) {
    throw new UsageError(`${file} is there already`, { hint: 'Name another file, or add --overwrite' });
  }
  const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}.tmp`);
  try {
    // What is logged may be private: the file is its owner's alone.
    const handle = await open(temporary, 'wx', 0o600);
    let count = 0;
    let bytes = 0;
    try {
      let waiting = format === 'csv' ? `${columns.join(',')}\r\n` : format === 'json' ? '[' : '';
      const flush = async (): Promise<void> => {
        bytes += Buffer.byteLength(waiting);
        await handle.writeFile(waiting);
        waiting = '';
      };
      for await (const entry of entries) {
        waiting += rendered(entry, format, count === 0);
        count += 1;
        if (waiting.length > flushBytes) await flush();
      }
      if (format === 'json') waiting += count === 0 ? ']\n' : '\n]\n';
      await flush();
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    return { count, bytes };
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

function rendered(entry: LogEntry, format: ExportFormat, first: boolean): string {
  if (format === 'jsonl') return `${JSON.stringify(entry)}\n`;
  if (format === 'json') return `${first ? '' : ','}\n${JSON.stringify(entry)}`;
  return `${columns.map((column) => csvCell(entry[column] ?? '')).join(',')}\r\n`;
}

/**
 * A field of RFC 4180. What a spreadsheet would take for a formula begins with an apostrophe: what is logged may come
 * from anybody.
 */
function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
