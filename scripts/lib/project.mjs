// What the scripts share: where the project is, its own Node.js, digests of files. Plain JavaScript without
// dependencies, for the Node.js (>= 20) of a machine on which nothing is installed yet.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the checkout. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The Node.js that the checkout brings along (workspace tools/node); there once the dependencies are installed. */
const ownNode = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');

/** The lowest Node.js that the built code runs on, as `engines` in package.json says. */
const floor = [22, 19];

/** Whether this very process runs on a Node.js that can run the built code. */
function runtimeIsRecent() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  return major > floor[0] || (major === floor[0] && minor >= floor[1]);
}

/** The Node.js to run built code on: the checkout's own, or this one on a platform that the registry has none for. */
export function projectNode() {
  if (existsSync(ownNode)) return ownNode;
  return runtimeIsRecent() ? process.execPath : undefined;
}

/** Runs the calling script again on the project's own Node.js when this one is too old, and ends with its exit code. */
export function ensureProjectNode(scriptUrl) {
  if (runtimeIsRecent()) return;
  const node = projectNode();
  if (node === undefined) {
    process.stderr.write(
      `${basename(fileURLToPath(scriptUrl))} needs Node.js ${floor.join('.')} or newer (this is ${process.versions.node}): run "npm install" first, it brings one.\n`,
    );
    process.exit(1);
  }
  const child = spawnSync(node, [fileURLToPath(scriptUrl), ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exit(child.status ?? 1);
}

/** Every file under a folder of the project, as sorted paths with forward slashes relative to the project. */
export function filesUnder(folder, accept = () => true) {
  const start = join(root, folder);
  if (!existsSync(start)) return [];
  return readdirSync(start, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      relative(root, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join('/'),
    )
    .filter((file) => !file.includes('/node_modules/') && accept(file))
    .sort();
}

/** SHA-256 over the names and contents of files, given relative to the project; one that is missing counts as such. */
export function digestOf(files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const path = join(root, file);
    hash.update(`${file}\0`);
    hash.update(existsSync(path) ? readFileSync(path) : 'missing');
    hash.update('\0');
  }
  return hash.digest('hex');
}

/** Milliseconds since `start`, a value of `performance.now()`. */
export function since(start) {
  return Math.round(performance.now() - start);
}

/** A duration as people read it: `840 ms`, `12.3 s`. */
export function duration(ms) {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}
