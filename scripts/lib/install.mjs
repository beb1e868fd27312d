// Installs the pinned dependencies, and only when they are not there yet.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, projectNode, root } from './project.mjs';

const marker = join(root, 'node_modules', '.systemprompt-install.json');
const lock = join(root, 'package-lock.json');

/**
 * `run`: what running and building need. `all`: also what only checks and tests need (the workspace tools/checks,
 * most of it in size), which is why `npm start` does not install it.
 */
const sets = {
  run: ['--include=dev', '--include-workspace-root', '--workspace=tools/node'],
  all: [],
};

/** What the installed tree must be for: the lock and the manifests it was made of, and the platform its binaries run on. */
function wanted(set) {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const files = digestOf(['package-lock.json', 'tools/node/package.json', 'tools/checks/package.json']);
  const digest = short(files + JSON.stringify({ dependencies, devDependencies, optionalDependencies }));
  return { digest, platform: `${process.platform}-${process.arch}`, set };
}

function readMarker() {
  try {
    return JSON.parse(readFileSync(marker, 'utf8'));
  } catch {
    return undefined; // never installed by these scripts: install
  }
}

/** Whether everything of the set is installed as the lock says. */
export function isInstalled(set) {
  const is = readMarker();
  const want = wanted(set);
  if (is === undefined || is.digest !== want.digest || is.platform !== want.platform) return false;
  return (is.set === 'all' || is.set === set) && projectNode() !== undefined;
}

/**
 * Installs with npm. `npm ci` is not used: it refuses a lock that lacks the optional packages of platforms which the
 * registry did not offer when it was made.
 *
 * @param {'run' | 'all'} set
 * @throws when npm fails, or when it would have changed the lock (which is put back)
 */
export function install(set) {
  const before = readFileSync(lock);
  const args = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', ...sets[set]];
  const npm = process.env.npm_execpath;
  const viaNode = npm !== undefined && /npm-cli\.[cm]?js$/.test(npm);
  const child = spawnSync(viaNode ? process.execPath : 'npm', viaNode ? [npm, ...args] : args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: !viaNode && process.platform === 'win32',
  });
  if (child.error) throw new Error(`npm could not be run: ${child.error.message}`);
  const after = readFileSync(lock);
  if (!after.equals(before)) {
    writeFileSync(`${lock}.tmp`, before);
    renameSync(`${lock}.tmp`, lock);
    throw new Error(
      `npm changed package-lock.json (${short(before)} -> ${short(after)}); it was put back. package.json and the lock disagree: run "npm install" and commit both.`,
    );
  }
  if (child.status !== 0) throw new Error(`npm install failed with ${child.signal ?? `exit code ${child.status}`}`);
  if (projectNode() === undefined) {
    throw new Error(
      `tools/node has no Node.js for ${process.platform}-${process.arch}, and this one (${process.versions.node}) is too old: install Node.js 24`,
    );
  }
  writeFileSync(`${marker}.tmp`, JSON.stringify(wanted(set)));
  renameSync(`${marker}.tmp`, marker);
}

function short(bytes) {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 12);
}
