import { createHash } from 'node:crypto';
import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PreconditionError, TooLargeError } from '../../shared/errors.ts';

/** What of `services/` is meant. */
export const syncKinds = ['mcp', 'agents', 'skills', 'content', 'all'] as const;
export type SyncKind = (typeof syncKinds)[number];

/** The content of one file. */
export interface Body {
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** Larger than any text that people write; what is larger belongs into the file storage. */
const largest = 10 * 1024 * 1024;
const most = 20_000;

export function bodyOf(bytes: Uint8Array): Body {
  return { bytes, digest: createHash('sha256').update(bytes).digest('hex') };
}

/** Whether a path of `services/` is of a kind: by its first folder. */
export function isOfKind(path: string, kind: SyncKind): boolean {
  return kind === 'all' || path.startsWith(`${kind}/`);
}

/**
 * The files of a kind, by path relative to `services/` with `/` between its parts. Drafts of editors, hidden files and
 * links are left out.
 * @throws TooLargeError naming the file; PreconditionError when one can't be read
 */
export async function readFilesOf(servicesDir: string, kind: SyncKind): Promise<Map<string, Body>> {
  const found = new Map<string, Body>();
  const visit = async (below: string): Promise<void> => {
    const entries = await readdir(join(servicesDir, below), { withFileTypes: true }).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw unreadable(join(servicesDir, below), error);
    });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.name.startsWith('.') || /~$|\.(tmp|lock|swp|swx)$/.test(entry.name)) continue;
      if (entry.isDirectory()) await visit(path);
      else if (entry.isFile()) found.set(path, await readBody(join(servicesDir, path)));
      if (found.size > most) throw new TooLargeError(`There are more than ${most} files in ${servicesDir}.`);
    }
  };
  await visit(kind === 'all' ? '' : kind);
  return found;
}

async function readBody(file: string): Promise<Body> {
  try {
    const { size } = await lstat(file);
    if (size > largest) {
      throw new TooLargeError(`${file} is larger than ${largest / 1024 / 1024} MiB.`, {
        hint: 'Move it out of services/, or make it smaller.',
      });
    }
    return bodyOf(await readFile(file));
  } catch (error) {
    throw error instanceof TooLargeError ? error : unreadable(file, error);
  }
}

function unreadable(path: string, cause: unknown): PreconditionError {
  return new PreconditionError(`${path} can't be read (${(cause as NodeJS.ErrnoException).code}).`, { cause });
}
