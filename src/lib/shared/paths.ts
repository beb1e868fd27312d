import { isAbsolute, relative } from 'node:path';

/** Whether a path lies in a folder, at any depth; both absolute. */
export function isBelow(folder: string, path: string): boolean {
  return relative(folder, path) !== '' && isWithin(folder, path);
}

/** As {@link isBelow}, or the folder itself. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}
