// The steps before the program runs: what is done already is skipped, what is not prints how long it took.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { duration, projectNode, root, since } from './project.mjs';

/**
 * @param {string} name
 * @param {() => boolean} isDone
 * @param {() => void} work
 * @returns {{ name: string, ms: number }} the time it took, finding out that there was nothing to do included
 */
export function phase(name, isDone, work) {
  const start = performance.now();
  if (isDone()) return { name, ms: since(start) };
  process.stderr.write(`${name} ...\n`);
  work();
  const ms = since(start);
  process.stderr.write(`${name} ${duration(ms)}\n`);
  return { name, ms };
}

/** Builds on the project's own Node.js, which this process need not be. */
export function buildInOwnNode() {
  const child = spawnSync(projectNode(), [join(root, 'scripts', 'build.mjs')], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (child.status !== 0) throw new Error(`the build failed with ${child.signal ?? `exit code ${child.status}`}`);
}
