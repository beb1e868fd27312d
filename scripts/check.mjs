// `npm run check`: everything that can be said about the tree without running it. All steps run, each with its time; what
// a step found is printed; the exit code is 1 if any failed.
//
//   node scripts/check.mjs [name ...]     only the steps whose name begins so
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { install, isInstalled } from './lib/install.mjs';
import { phase } from './lib/phase.mjs';
import { duration, projectNode, root, since } from './lib/project.mjs';

/** Runs a program of node_modules; what it says comes back. */
function tool(path, ...args) {
  const child = spawnSync(projectNode(), [join(root, path), ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (child.error) throw child.error;
  return { failed: child.status !== 0, said: `${child.stdout}${child.stderr}`.trim() };
}

const bin = (name) => join('node_modules', '.bin', name);

/** Packs the package as it would be published, and has the tarball looked at. */
function packed() {
  const folder = mkdtempSync(join(tmpdir(), 'systemprompt-pack-'));
  try {
    const options = {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` },
    };
    const pack = spawnSync('npm', ['pack', '--loglevel=error', `--pack-destination=${folder}`], options);
    if (pack.error) throw pack.error;
    if (pack.status !== 0) return { failed: true, said: `${pack.stdout}${pack.stderr}`.trim() };
    const [tarball] = readdirSync(folder);
    return tool(bin('publint'), 'run', '--strict', join(folder, tarball));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Files that a script writes and that are kept in the repository: `scripts/generate-<what>.mjs --check` compares. */
function generators() {
  const scripts = readdirSync(join(root, 'scripts')).filter((file) => /^generate-.+\.mjs$/.test(file));
  return scripts.map((file) => [file.replace(/\.mjs$/, ''), () => tool(join('scripts', file), '--check')]);
}

const steps = [
  ['build', () => tool('scripts/build.mjs', '--if-changed')],
  ['types', () => tool('node_modules/typescript-7/bin/tsc', '-p', 'tsconfig.json')],
  ['types of pages', () => tool('node_modules/typescript-7/bin/tsc', '-p', 'tsconfig.pages.json')],
  ['biome', () => tool(bin('biome'), 'check', '--error-on-warnings', '--max-diagnostics=none', '--reporter=concise')],
  ['layers', () => tool(bin('depcruise'), 'src', 'extensions', '--no-progress')],
  ['knip', () => tool(bin('knip'), '--no-progress', '--no-config-hints')],
  ['package', packed],
  ...generators(),
];

if (!existsSync(join(root, 'node_modules')) || !isInstalled('all'))
  phase(
    'install',
    () => false,
    () => install('all'),
  );

const wanted = process.argv.slice(2);
let failures = 0;
for (const [name, run] of steps) {
  if (wanted.length > 0 && !wanted.some((prefix) => name.startsWith(prefix))) continue;
  const start = performance.now();
  const { failed, said } = run();
  process.stdout.write(`${failed ? 'FAILED' : 'ok    '}  ${name.padEnd(20)} ${duration(since(start))}\n`);
  if (failed) {
    failures += 1;
    process.stdout.write(`${said.replace(/^/gm, '    ')}\n`);
  }
}
process.stdout.write(failures === 0 ? 'check: all passed\n' : `check: ${failures} failed\n`);
process.exitCode = failures === 0 ? 0 : 1;
