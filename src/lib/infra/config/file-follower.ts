import { basename } from 'node:path';
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
  #quiet: NodeJS.Timeout | undefined;
  #latest: NodeJS.Timeout | undefined;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  /** Follows these paths, in place of those before; resolves when every later change is seen. */
  async follow(paths: readonly string[]): Promise<void> {
    if (paths.length === this.#paths.length && paths.every((path, index) => path === this.#paths[index])) return;
    const before = this.#watcher;
    this.#paths = paths;
    const { watch } = await import('chokidar');
    const watcher = watch([...paths], { ignoreInitial: true, ignored: (path) => isDraft(path) });
    this.#watcher = watcher;
    watcher.on('all', () => this.#touched());
    watcher.on('error', this.#options.onError);
    await new Promise<void>((resolve) => watcher.once('ready', resolve));
    await before?.close();
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

/** What editors and our own atomic writes leave for a moment beside the file itself. */
function isDraft(path: string): boolean {
  const name = basename(path);
  return name.endsWith('~') || /\.(tmp|lock|swp|swx)$/.test(name) || name === '4913';
}
