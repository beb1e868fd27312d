// `npm test`: installs everything, builds, and runs all tests on the project's own Node.js. Arguments go to vitest
// (`npm test -- --project unit`). The last line it prints is the totals: `N passed, N failed, N skipped`.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isBuilt } from './build.mjs';
import { install, isInstalled } from './lib/install.mjs';
import { buildInOwnNode, phase } from './lib/phase.mjs';
import { projectNode, root } from './lib/project.mjs';

/** What the tests' folders and databases may take at one time, with room to spare: they peak below 2 GB. */
const memoryNeeded = 8e9;
/** Where the databases of root's instances lie (src/lib/infra/process/postgres-place.ts). */
const rootInstances = '/var/lib/systemprompt/instances';

/**
 * Where the tests' folders and databases lie: in memory, where the machine has enough. They make and remove some hundred
 * thousand small files, which on a disk costs a tenth of the whole run.
 */
function inMemory() {
  const roomy = (path) => {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize > memoryNeeded;
  };
  if (process.env.TMPDIR !== undefined || !existsSync('/dev/shm') || !roomy('/dev/shm')) return false;
  return process.availableMemory() > memoryNeeded;
}

/** A command line, which sees a file system in memory at `folder`; as given where that can't be. */
function withMemoryAt(folder, command) {
  const mounted = ['--mount', 'sh', '-c', 'mount -t tmpfs -o mode=0755 tests "$0" && exec "$@"', folder];
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const { status } = spawnSync('unshare', [...mounted, 'true'], { stdio: 'ignore' });
  return status === 0 ? ['unshare', ...mounted, ...command] : command;
}

/** Runs vitest, its output ours; resolves to its exit code when it has ended. Signals end it first. */
function runVitest(report, folder) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const command = [projectNode(), vitest, 'run', ...reporters, ...process.argv.slice(2)];
  const [program, ...args] =
    folder !== undefined && process.getuid?.() === 0 ? withMemoryAt(rootInstances, command) : command;
  const env = folder === undefined ? process.env : { ...process.env, TMPDIR: folder };
  const child = spawn(program, args, { cwd: root, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

/** Counts of vitest's JSON report. A file that could not even be loaded counts as one failure. */
function totals(report) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  const unloaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length;
  return { passed: numPassedTests, failed: numFailedTests + unloaded, skipped: numPendingTests + numTodoTests };
}

const kept = inMemory();
const folder = mkdtempSync(join(kept ? '/dev/shm' : tmpdir(), 'sp-'));
// As /tmp: other accounts have folders there too.
chmodSync(folder, 0o1777);
try {
  phase(
    'install',
    () => isInstalled('all'),
    () => install('all'),
  );
  phase('build', isBuilt, buildInOwnNode);
  const report = join(folder, 'report.json');
  const exitCode = await runVitest(report, kept ? folder : undefined);
  const { passed, failed, skipped } = totals(report);
  process.stdout.write(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  process.exitCode = failed > 0 ? 1 : exitCode;
  if (passed + failed === 0) throw new Error('no test ran');
} catch (error) {
  process.stderr.write(`npm test: ${error.message}\n`);
  process.exitCode = process.exitCode || 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
