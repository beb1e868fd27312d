// Runs changesets: `npm run changeset -- add | status | version`.
//
// changesets leaves the root package of an npm monorepo out, and ours is the one that is published (the workspaces are
// tools). So it works in a worktree aside, whose package.json names no workspaces, and what it wrote comes back.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectNode, root } from './lib/project.mjs';

const packageFile = 'package.json';
const git = (...args) => execFileSync('git', args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
const readJson = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'));

/** Puts a version into a JSON file of ours without touching how the rest is laid out; the first one is the package's. */
function setVersion(file, from, to, times) {
  let text = readFileSync(join(root, file), 'utf8');
  for (let time = 0, at = 0; time < times; time += 1) {
    at = text.indexOf(`"version": "${from}"`, at);
    if (at === -1) throw new Error(`${file} does not have version ${from}`);
    text = `${text.slice(0, at)}"version": "${to}"${text.slice(at + `"version": "${from}"`.length)}`;
    at += 1;
  }
  writeFileSync(join(root, file), text);
}

function bringBack(aside) {
  rmSync(join(root, '.changeset'), { recursive: true });
  cpSync(join(aside, '.changeset'), join(root, '.changeset'), { recursive: true });
  if (existsSync(join(aside, 'CHANGELOG.md'))) cpSync(join(aside, 'CHANGELOG.md'), join(root, 'CHANGELOG.md'));
  const from = readJson(root, packageFile).version;
  const to = readJson(aside, packageFile).version;
  if (from === to) return;
  setVersion(packageFile, from, to, 1);
  // package-lock.json says it at the top and for the root package.
  setVersion('package-lock.json', from, to, 2);
}

const folder = mkdtempSync(join(tmpdir(), 'systemprompt-changeset-'));
const aside = join(folder, 'tree');
git('worktree', 'add', '--quiet', '--detach', aside, 'HEAD');
try {
  const { workspaces: _, ...single } = readJson(root, packageFile);
  writeFileSync(join(aside, packageFile), `${JSON.stringify(single, undefined, 2)}\n`);
  rmSync(join(aside, '.changeset'), { recursive: true, force: true });
  for (const path of ['.changeset', 'CHANGELOG.md']) cpSync(join(root, path), join(aside, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(aside, 'node_modules'));
  const program = join(root, 'node_modules', '.bin', 'changeset');
  const { status } = spawnSync(projectNode(), [program, ...process.argv.slice(2)], { cwd: aside, stdio: 'inherit' });
  if (status === 0) bringBack(aside);
  process.exitCode = status ?? 1;
} finally {
  git('worktree', 'remove', '--force', aside);
  rmSync(folder, { recursive: true, force: true });
}
