import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigInvalidError, PreconditionError } from '../../shared/errors.ts';
import type { Extension } from '../../shared/extension.ts';

/** One numbered SQL file of an extension. */
export interface MigrationFile {
  readonly extension: string;
  /** File name without `.sql`: how the database knows it. */
  readonly name: string;
  readonly path: string;
  /** All of it. */
  readonly sql: string;
  /** What applies it: all up to its down part. */
  readonly up: string;
  /** What takes it back, when it says so; `line` is where that begins, counted from 1. */
  readonly down: { readonly sql: string; readonly line: number } | undefined;
  /** SHA-256 of the text in hex; line ends count as written on Unix, since git may change them. */
  readonly checksum: string;
}

/** As node-pg-migrate marks it in SQL files. */
const DOWN = /^[ \t]*--[ \t-]*down[ \t-]+migration.*$/im;
const FILE = /^(\d{3,})_[a-z0-9_]+\.sql$/;

/**
 * The extensions with those first that others stand on; otherwise in the order given.
 * @throws PreconditionError when an id is there twice, a dependency is missing, or they go in a circle
 */
export function inDependencyOrder(extensions: readonly Extension[]): Extension[] {
  const byId = new Map(extensions.map((extension) => [extension.id, extension]));
  if (byId.size < extensions.length) throw new PreconditionError('Two extensions have the same id.');
  const done = new Set<string>();
  const ordered: Extension[] = [];
  const visit = (extension: Extension, path: readonly string[]) => {
    if (done.has(extension.id)) return;
    if (path.includes(extension.id)) {
      throw new PreconditionError(
        `Extensions depend on each other in a circle: ${[...path, extension.id].join(' → ')}.`,
      );
    }
    for (const id of extension.dependencies ?? []) {
      const dependency = byId.get(id);
      if (dependency === undefined) {
        throw new PreconditionError(`Extension ${extension.id} stands on ${id}, which is not installed.`);
      }
      visit(dependency, [...path, extension.id]);
    }
    done.add(extension.id);
    ordered.push(extension);
  };
  for (const extension of extensions) visit(extension, []);
  return ordered;
}

/**
 * The migrations of one extension by number.
 * @throws ConfigInvalidError for a file whose name has no number or whose number is taken
 */
export async function readMigrations(extension: Extension, root: string): Promise<MigrationFile[]> {
  if (extension.migrations === undefined) return [];
  const folder = join(root, extension.migrations);
  const names = await readdir(folder).catch((error: unknown) => {
    throw new PreconditionError(`The migrations of ${extension.id} are missing: ${folder}.`, { cause: error });
  });
  const files = names.filter((name) => name.endsWith('.sql')).sort();
  const numbers = new Set<number>();
  for (const name of files) {
    const number = Number(FILE.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(number) || numbers.has(number)) {
      const message = Number.isNaN(number)
        ? 'a migration is called 001_what_it_does.sql'
        : `number ${number} is taken twice`;
      throw new ConfigInvalidError([{ file: join(folder, name), line: 1, column: 1, message }]);
    }
    numbers.add(number);
  }
  files.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  return Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      const sql = (await readFile(path, 'utf8')).replaceAll('\r\n', '\n');
      const checksum = createHash('sha256').update(sql).digest('hex');
      const name = file.slice(0, -'.sql'.length);
      return { extension: extension.id, name, path, sql, ...partsOf(sql), checksum };
    }),
  );
}

function partsOf(sql: string): Pick<MigrationFile, 'up' | 'down'> {
  const mark = DOWN.exec(sql);
  if (mark === null) return { up: sql, down: undefined };
  const up = sql.slice(0, mark.index);
  return { up, down: { sql: sql.slice(mark.index), line: up.split('\n').length } };
}
