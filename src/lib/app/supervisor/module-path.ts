import { statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

/**
 * The file that runs for a module of the configuration: the path itself, or its index, in the project or in the package;
 * built ones in `dist/` first.
 */
export function findModule(roots: readonly string[], module: string): string | undefined {
  const inRoots = [...new Set(roots)].flatMap((root) => [join(root, 'dist', module), join(root, module)]);
  const bases = isAbsolute(module) ? [module] : inRoots;
  return bases.flatMap((base) => [base, join(base, 'index.js'), join(base, 'dist', 'index.js')]).find(isFile);
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
