import type { Stats } from 'node:fs';
import { PreconditionError } from '../../shared/errors.ts';

/** A path as the user can paste it into a shell. */
export function shellQuote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function belongsToAnother(path: string, owner: number, self: number, what: string): PreconditionError {
  return new PreconditionError(`${what} ${path} belongs to the user with id ${owner}, and you are ${self}.`, {
    hint: `Run as its owner, or take it over: sudo chown -R ${self} ${shellQuote(path)}`,
    data: { path, owner, self },
  });
}

/**
 * Refuses a file or folder of another user's: what it says could have been planted, and what we add would be theirs.
 * Root is no exception, since files that root leaves in a user's instance lock that user out.
 * @throws PreconditionError with the command that mends it
 */
export function assertOwned(path: string, stats: Stats, what: string): void {
  const self = process.getuid?.();
  if (self !== undefined && stats.uid !== self) throw belongsToAnother(path, stats.uid, self, what);
}

/**
 * Refuses a private file or folder that its group or the world can touch.
 * @throws PreconditionError with the command that mends it
 */
export function assertPrivate(path: string, stats: Stats, what: string): void {
  assertOwned(path, stats, what);
  if (process.getuid === undefined || (stats.mode & 0o077) === 0) return;
  const mode = (stats.mode & 0o777).toString(8).padStart(3, '0');
  throw new PreconditionError(`${what} ${path} is open to other users (mode ${mode}).`, {
    hint: `Close it: chmod ${stats.isDirectory() ? 700 : 600} ${shellQuote(path)}`,
    data: { path, mode },
  });
}
