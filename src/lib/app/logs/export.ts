import { csvCell, writeExport } from '../export-file.ts';
import type { LogEntry } from './entries.ts';

export const exportFormats = ['jsonl', 'json', 'csv'] as const;
export type ExportFormat = (typeof exportFormats)[number];

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
  let count = 0;
  const counted = async function* (): AsyncGenerator<string> {
    yield format === 'csv' ? `${columns.join(',')}\r\n` : format === 'json' ? '[' : '';
    for await (const entry of entries) {
      yield rendered(entry, format, count === 0);
      count += 1;
    }
    if (format === 'json') yield count === 0 ? ']\n' : '\n]\n';
  };
  const bytes = await writeExport(counted(), file, overwrite);
  return { count, bytes };
}

function rendered(entry: LogEntry, format: ExportFormat, first: boolean): string {
  if (format === 'jsonl') return `${JSON.stringify(entry)}\n`;
  if (format === 'json') return `${first ? '' : ','}\n${JSON.stringify(entry)}`;
  return `${columns.map((column) => csvCell(entry[column] ?? '')).join(',')}\r\n`;
}
