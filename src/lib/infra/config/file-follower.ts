import { existsSync, lstatSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, sep } from 'node:path';
import type { FSWatcher } from 'chokidar';

export interface FollowOptions {
  /** How long nothing must change before it counts as one change, in ms: a checkout or a save of several files is one. */
  readonly quietMs: number;
  /** How long changes may go on before they are told all the same, in ms. */
  readonly atMostMs: number;
  readonly onChange: () => void;
  /** The operating system refuses to watch (too many watches, say): changes may be missed from now on. */
  readonly onError: (error: unknown) => void;
}

/** Follows files and folders, those too that are not there yet. */
export class FileFollower {
  readonly #options: FollowOptions;
  #watcher: FSWatcher | undefined;
  #paths: readonly string[] = [];
  /** A folder has appeared: what came into it before it was watched is not told by itself. */
  #grown = false;
  #quiet: NodeJS.Timeout | undefined;
  #latest: NodeJS.Timeout | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  /**
   * Follows these paths, in place of those before; resolves when every later change is seen.
   * @returns whether it watches anew: what has changed until now may then not have been told
   */
  async follow(paths: readonly string[]): Promise<boolean> {
    const same = paths.length === this.#paths.length && paths.every((path, index) => path === this.#paths[index]);
    if (same && !this.#grown) return false;
    const before = this.#watcher;
    this.#paths = paths;
    this.#grown = false;
    const { watch } = await import('chokidar');
    const roots = [...new Set(paths.map((path) => realOf(dirname(path))))];
    // Of a path that is not there, the folder in which it would appear: chokidar says too early that it is ready otherwise.
    const watched = [...new Set(paths.map(nearestThere))];
    const isWay = (path: string): boolean => paths.some((wanted) => wanted === path || isWithin(path, wanted));
    const isWanted = (path: string): boolean => paths.some((wanted) => isWithin(wanted, path));
    const watcher = watch(watched, {
      ignoreInitial: true,
      ignored: (path) => isDraft(path) || (!isWay(path) && (!isWanted(path) || leadsAway(path, roots))),
    });
    this.#watcher = watcher;
    watcher.on('all', (event) => {
      if (event === 'addDir') this.#grown = true;
      this.#touched();
    });
    watcher.on('error', this.#options.onError);
    await new Promise<void>((resolve) => watcher.once('ready', resolve));
    await before?.close();
    return true;
  }

  async close(): Promise<void> {
    this.#settle();
    await this.#watcher?.close();
  }

  #touched(): void {
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#tell(), this.#options.quietMs);
    this.#latest ??= setTimeout(() => this.#tell(), this.#options.atMostMs);
  }

  #tell(): void {
    this.#settle();
    this.#options.onChange();
  }

  #settle(): void {
    clearTimeout(this.#quiet);
    clearTimeout(this.#latest);
    this.#latest = undefined;
  }
}

/**
 * Whether a path is a link to a folder elsewhere: one to `/`, put there by mistake, would have the whole disk walked through
 * before anything starts. Links to files are followed wherever they lead.
 */
function leadsAway(path: string, roots: readonly (string | undefined)[]): boolean {
  try {
    if (!lstatSync(path).isSymbolicLink() || !statSync(path).isDirectory()) return false;
    const real = realpathSync(path);
    return !roots.some((root) => root !== undefined && isWithin(root, real));
  } catch {
    return false; // gone meanwhile, or a link that leads nowhere
  }
}

function isWithin(folder: string, path: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

/** The path itself, or the nearest folder above it that is there. */
function nearestThere(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestThere(dirname(path));
}

/** `undefined` for what is not there. */
function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** What editors and our own atomic writes leave for a moment beside the file itself. */
function isDraft(path: string): boolean {
  const name = basename(path);
  return name.endsWith('~') || /\.(tmp|lock|swp|swx)$/.test(name) || name === '4913';
}
