import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Manifest {
  readonly name?: unknown;
  readonly version?: unknown;
}

interface PackageFacts {
  readonly root: string;
  readonly version: string;
}

let facts: PackageFacts | undefined;

/**
 * Walks up from this module to the package.json named `systemprompt`. The depth is not fixed: in development this file
 * lies in src/, in the published package its code lies in some chunk under dist/.
 */
function findPackage(): PackageFacts {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifestFile = join(folder, 'package.json');
    if (existsSync(manifestFile)) {
      const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as Manifest;
      if (manifest.name === 'systemprompt') return { root: folder, version: String(manifest.version) };
    }
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`No package.json of systemprompt above ${fileURLToPath(import.meta.url)}`);
    folder = parent;
  }
}

/** The folder of the installed package (or checkout): where `migrations/`, `schemas/`, `services/` and `dist/` are. */
export function packageRoot(): string {
  facts ??= findPackage();
  return facts.root;
}

/** The version in the package's own package.json. */
export function packageVersion(): string {
  facts ??= findPackage();
  return facts.version;
}
