import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface CliPackage extends Disposable {
  readonly root: string;
}

const project = join(import.meta.dirname, '../..');

/**
 * A package of systemprompt in a folder of its own, in which the CLI is the fixture of test/fixtures/cli. With `built`
 * it holds a copy of dist/, so that the processes of the product run in it.
 */
export async function createCliPackage({ built = false } = {}): Promise<CliPackage> {
  const root = mkdtempSync(join(tmpdir(), 'cli-package-'));
  const { manifest, packageJson } = await import(join(project, 'test/fixtures/cli/manifest.mjs'));
  mkdirSync(join(root, 'bin'));
  cpSync(join(project, 'test/fixtures/cli/run.mjs'), join(root, 'bin/run.js'));
  writeFileSync(join(root, 'oclif.manifest.json'), JSON.stringify(manifest));
  writeFileSync(join(root, 'package.json'), JSON.stringify(packageJson));
  if (built) {
    cpSync(join(project, 'dist'), join(root, 'dist'), { recursive: true });
    symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
  }
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}
