import { lstat, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { quoted } from '../../infra/config/quoted.ts';
import { type ParsedYaml, parseYamlText, type RefusedYaml, yamlFilesIn } from '../../infra/config/yaml.ts';
import { displayPath, readYamlText } from '../../infra/config/yaml-source.ts';
import { type ConfigIssue, PreconditionError } from '../../shared/errors.ts';
import { isBelow } from '../../shared/paths.ts';
import { type FileKind, kindOf } from './kinds.ts';
import { misplacedFiles } from './misplaced.ts';

/** A file of `services/` as it was read. */
export interface ServicesFile {
  /** Absolute. */
  readonly path: string;
  readonly kind: FileKind;
  /** Whether its content holds; what refers to it by name must know it also when it doesn't. */
  readonly valid: boolean;
  /** The checked content; of a file that does not hold the unchecked one, if its grammar holds. */
  readonly yaml: ParsedYaml<unknown> | undefined;
}

/** All files of `services/`, in the order in which they are put together. */
export interface ServicesFiles {
  readonly files: readonly ServicesFile[];
  readonly issues: ConfigIssue[];
  /** What was read or looked for. */
  readonly looked: Set<string>;
  /** Where files are found by themselves. */
  readonly folders: readonly string[];
}

/** Folders in which every YAML file is read. */
const LISTED = ['agents', 'mcp'] as const;
/** Folders in which every folder holds a `config.yaml`. */
const FOLDERED = ['skills', 'plugins'] as const;
/** Folders with one `config.yaml`. */
const SINGLE = ['ai', 'content', 'scheduler', 'web', 'extensions'] as const;

/**
 * Reads the root file with what it includes, then what is found by itself; each file once. Nothing outside of the folder
 * is read, also not by a symbolic link.
 * @param servicesDir absolute
 * @param texts what files (absolute) would hold, instead of what they hold
 * @throws PreconditionError when a folder can't be read
 */
export async function readServicesFiles(
  servicesDir: string,
  texts: ReadonlyMap<string, string> = new Map(),
): Promise<ServicesFiles> {
  const root = await realpath(servicesDir).catch(() => servicesDir);
  const reader = new Reader(servicesDir, root, texts);
  const found = [...new Set([...(await findFiles(servicesDir)), ...texts.keys()])];
  const first = join(servicesDir, 'config', 'config.yaml');
  // All at once: most of the time goes into waiting for the disk.
  for (const path of [first, ...found]) reader.prepare(path);
  await reader.visitFound(first, false);
  for (const path of found)
    await reader.visitFound(
      path,
      FOLDERED.some((name) => path.startsWith(join(servicesDir, name))),
    );
  const folders = [...LISTED, ...FOLDERED, ...SINGLE, 'config'];
  reader.issues.push(...(await misplacedFiles(servicesDir, folders, [...SINGLE, 'config'], reader.looked)));
  return {
    files: reader.files,
    issues: reader.issues,
    looked: reader.looked,
    folders: folders.map((name) => join(servicesDir, name)).sort(),
  };
}

async function findFiles(servicesDir: string): Promise<string[]> {
  const listed = await Promise.all(LISTED.map((name) => yamlFilesIn(join(servicesDir, name))));
  const foldered = await Promise.all(FOLDERED.map((name) => foldersIn(join(servicesDir, name))));
  return [
    ...listed.flat(),
    ...foldered.flat().map((folder) => join(folder, 'config.yaml')),
    ...SINGLE.map((name) => join(servicesDir, name, 'config.yaml')),
  ];
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new PreconditionError(`The folder ${displayPath(folder)} can't be read (${error.code}).`, { cause: error });
  });
  return entries
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith('.'))
    .map((entry) => join(folder, entry.name))
    .sort();
}

/** Where an include is written. */
interface Include {
  readonly from: ParsedYaml<unknown>;
  readonly index: number;
}

class Reader {
  readonly files: ServicesFile[] = [];
  readonly issues: ConfigIssue[] = [];
  readonly looked = new Set<string>();
  readonly #servicesDir: string;
  readonly #root: string;
  readonly #seen = new Set<string>();
  readonly #parsed = new Map<string, Promise<ParsedYaml<unknown> | RefusedYaml>>();

  readonly #texts: ReadonlyMap<string, string>;

  constructor(servicesDir: string, root: string, texts: ReadonlyMap<string, string>) {
    this.#servicesDir = servicesDir;
    this.#root = root;
    this.#texts = texts;
  }

  /** Begins to read a file that will be visited, if it may be read. */
  prepare(path: string): void {
    const work = realpath(path).then(
      (real) => (this.#isInside(real) ? this.#parse(path) : { issues: [] }),
      () => this.#parse(path),
    );
    // Its failure is told to whoever visits it.
    work.catch(() => undefined);
    this.#parsed.set(path, work);
  }

  /** @param required whether it is a fault that there is no such file */
  async visitFound(path: string, required: boolean): Promise<void> {
    this.looked.add(path);
    const real = await realpath(path).catch(() => undefined);
    if (real === undefined && !required && !this.#texts.has(path) && !(await isThere(path))) return;
    if (real !== undefined && !this.#isInside(real)) {
      const message = 'leads out of services/ by a symbolic link';
      this.issues.push({ file: displayPath(path), line: 1, column: 1, message, hint: 'Put the file itself there.' });
      return;
    }
    await this.#visit(path, real ?? path, []);
  }

  /** @param chain the files that include each other on the way here, the outermost first */
  async #visit(path: string, real: string, chain: readonly string[]): Promise<void> {
    if (this.#seen.has(real)) return;
    this.#seen.add(real);
    const kind = this.#kindOf(path);
    const parsed = await (this.#parsed.get(path) ?? this.#parse(path));
    const valid = !('issues' in parsed);
    const yaml = valid ? parsed : parsed.raw;
    if (!valid) this.issues.push(...parsed.issues);
    this.files.push({ path, kind, valid, yaml });
    if (yaml === undefined) return;
    for (const [index, include] of includesOf(yaml.value).entries()) {
      if (typeof include === 'string') await this.#include(path, include, { from: yaml, index }, [...chain, real]);
    }
  }

  async #include(by: string, include: string, at: Include, chain: readonly string[]): Promise<void> {
    const refuse = (message: string, hint: string) => {
      this.issues.push(at.from.issue(['includes', at.index], `the include ${quoted(include)} ${message}`, hint));
    };
    if (include.trim() === '') return;
    if (/^[a-z][a-z0-9+.-]+:\/\//i.test(include))
      return refuse('is an address', 'keep a copy in services/, and include that');
    if (/[*?[\]{}]/.test(include)) {
      return refuse('is a pattern', 'name each file; those in agents/, mcp/ and the like are found by themselves');
    }
    if (isAbsolute(include)) return refuse('is an absolute path', 'write it relative to this file');
    if (!/\.ya?ml$/.test(include)) return refuse('is no YAML file', 'its name must end with .yaml');
    const path = resolve(dirname(by), include);
    if (!isBelow(this.#servicesDir, path)) return refuse('leads out of services/', 'put the file into services/');
    this.looked.add(path);
    const shown = displayPath(path);
    let real: string;
    try {
      real = await realpath(path);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        return refuse(`names ${shown}, which does not exist`, await neighbours(path));
      }
      return refuse(`names ${shown}, which can't be read (${code})`, 'look at its permissions and links');
    }
    if (!this.#isInside(real)) return refuse('leads out of services/ by a symbolic link', 'put the file itself there');
    if (chain.includes(real)) {
      const circle = [...chain.slice(chain.indexOf(real)), real].map((file) => relative(this.#root, file));
      return refuse(`leads back to where it came from: ${circle.join(' → ')}`, 'remove one of these includes');
    }
    await this.#visit(path, real, chain);
  }

  #isInside(real: string): boolean {
    return isBelow(this.#root, real);
  }

  #kindOf(path: string): FileKind {
    return kindOf(relative(this.#servicesDir, path));
  }

  async #parse(path: string): Promise<ParsedYaml<unknown> | RefusedYaml> {
    const draft = this.#texts.get(path);
    // The text first: of a file that is not there no schema is made.
    const source = draft === undefined ? await readYamlText(path) : { text: draft };
    if ('issue' in source) return { issues: [source.issue] };
    const schema = await this.#kindOf(path).schema();
    return parseYamlText<unknown>(source.text, displayPath(path), schema, { textIncludes: true });
  }
}

function includesOf(value: unknown): readonly unknown[] {
  const list = typeof value === 'object' && value !== null && 'includes' in value ? value.includes : undefined;
  return Array.isArray(list) ? list.slice(0, INCLUDES_MAX) : [];
}

/** Of a file that does not hold; one that does has fewer. */
const INCLUDES_MAX = 500;

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** What there is instead of a file that isn't there. */
async function neighbours(path: string): Promise<string> {
  const { nearest } = await import('../../shared/nearest.ts');
  const names = await readdir(dirname(path)).catch(() => []);
  const [meant] = nearest(basename(path), names, 1);
  return meant === undefined ? 'the path is relative to this file' : `did you mean ${quoted(meant)}?`;
}
