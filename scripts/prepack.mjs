// Runs before `npm pack`: brings dist/ up to date with nothing of earlier builds in it, and writes the declarations of
// the library face to dist/types. stdout stays free for npm's own output (`npm pack --json`).
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build, explain, isBuilt, prune } from './build.mjs';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

function writeTypes() {
  const compiler = join(root, 'node_modules', 'typescript-7', 'bin', 'tsc');
  if (!existsSync(compiler)) throw new Error('packing needs the compiler of tools/checks: run "npm install" first');
  rmSync(join(root, 'dist', 'types'), { recursive: true, force: true });
  const stdio = ['ignore', 2, 2];
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.types.json'], { cwd: root, stdio });
  if (status !== 0) throw new Error('the declarations of the library face could not be written');
}

try {
  if (!isBuilt()) await build();
  prune();
  writeTypes();
} catch (error) {
  process.stderr.write(explain(error));
  process.exitCode = 1;
}
