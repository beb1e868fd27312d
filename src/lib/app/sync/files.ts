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

/** What editors leave beside a file, and what is hidden: `.git` below services/ is no configuration, and runs programs. */
function isLeftOut(name: string): boolean {
  return name.startsWith('.') || /~$|\.(tmp|lock|swp|swx)$/.test(name);
}

/**
 * Whether a path is one that a file of `services/` can have: the database may have been written to by others, and what it
 * calls `../x` must not be written there.
 */
export function isFilePath(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names that a terminal would act on are what is looked for
  if (path.length > 1000 || /[\u0000-\u001f\u007f\\]/.test(path)) return false;
  return path.split('/').every((name) => name !== '' && name.length <= 255 && !isLeftOut(name));
}

/**
 * Makes sure that a path of `services/` leads through folders of it alone: a link on the way leads elsewhere.
 * @throws PreconditionError naming what is in the way
 */
export async function refuseDetour(servicesDir: string, path: string): Promise<void> {
  const parts = path.split('/');
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const place = join(servicesDir, ...parts.slice(0, depth));
    const stats = await lstat(place).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unreadable(place, error);
    });
    if (stats === undefined) return;
    if (depth === parts.length ? stats.isFile() : stats.isDirectory()) continue;
    const what = stats.isSymbolicLink() ? 'a link' : stats.isDirectory() ? 'a folder' : 'no folder';
    throw new PreconditionError(`${place} is ${what}, and the database has ${path}.`, {
      hint: 'Nothing was changed. Move it away, or put the file itself there.',
      data: { path },
    });
  }
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
      if (isLeftOut(entry.name)) continue;
      if (entry.isDirectory()) await visit(path);
      else if (entry.isFile()) found.set(path, await readBody(join(servicesDir, path)));
      if (found.size > most) throw new TooLargeError(`There are more than ${most} files in ${servicesDir}.`);
    }
  };
  if (kind === 'all') await visit('');
  // A link to a folder is left out wherever it is.
  else if ((await lstat(join(servicesDir, kind)).catch(() => undefined))?.isDirectory() === true) await visit(kind);
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
