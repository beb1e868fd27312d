import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { compileOptions } from './compile.ts';
import type { ExtensionPackage } from './workspace.ts';

/** What decides beside the sources: how packages and paths are resolved. */
const settings = ['package.json', 'tsconfig.json'];

/**
 * Files that an extension is made from or that decide how, relative to the project: what was compiled last time, and
 * whatever else lies in its folder, since a new file there may be found instead of another.
 */
export async function inputFiles(
  root: string,
  { folder, entry, manifestFile }: ExtensionPackage,
  compiled: readonly string[],
): Promise<string[]> {
  const own = (await filesUnder(folder)).map((file) => relative(root, file).split(sep).join('/'));
  const named = [entry, ...(manifestFile === undefined ? [] : [manifestFile])].map((file) => relative(root, file));
  return [...new Set([...compiled, ...own, ...named, ...settings])].sort();
}

/** Files of a folder and of those in it, without tests, packages and what is built; absolute. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []; // a module that is one file
    throw error;
  });
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        const apart = ['node_modules', 'dist'].includes(entry.name) || entry.name.startsWith('.');
        return apart ? [] : await filesUnder(path);
      }
      // Tests are no part of what is built.
      return entry.isFile() && !/\.test\.[cm]?[jt]sx?$/.test(entry.name) ? [path] : [];
    }),
  );
  return found.flat();
}

/**
 * Digest of everything that a build of an extension depends on.
 * @param files of {@link inputFiles}
 * @param versions of the tools
 */
export function inputsDigest(
  root: string,
  { external }: ExtensionPackage,
  files: readonly string[],
  versions: { readonly systemprompt: string; readonly esbuild: string },
): string {
  const hash = createHash('sha256').update(JSON.stringify([versions, compileOptions(external)]));
  for (const file of files) {
    const path = join(root, file);
    hash.update(`\0${file}\0`).update(existsSync(path) ? readFileSync(path) : 'missing');
  }
  return hash.digest('hex');
}
