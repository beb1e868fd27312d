import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Something that nobody needs any more. */
export interface CleanupItem {
  readonly kind: 'process' | 'socket' | 'run file' | 'half-written file' | 'log' | 'draft' | 'data';
  /** A path, or the number and name of a process; names the item within one look. */
  readonly what: string;
  readonly bytes: number;
  /** Why nobody needs it. */
  readonly reason: string;
  /** @throws when it can't be removed */
  remove(): Promise<void>;
}

/** What was found, and what was left alone although it looks like something of the kind. */
export interface Findings {
  readonly items: readonly CleanupItem[];
  readonly kept: readonly string[];
}

/** Bytes of a file or of everything below a folder; links are not followed, and what goes away meanwhile counts nothing. */
export async function sizeOf(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isDirectory() !== true) return stats?.size ?? 0;
  let sum = 0;
  for (const name of await readdir(path).catch(() => [])) sum += await sizeOf(join(path, name));
  return sum;
}
