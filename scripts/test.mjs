// `npm test`: installs everything, builds, and runs all tests on the project's own Node.js. Arguments go to vitest
// (`npm test -- --project unit`). The last line it prints is the totals: `N passed, N failed, N skipped`.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isBuilt } from './build.mjs';
import { install, isInstalled } from './lib/install.mjs';
import { buildInOwnNode, phase } from './lib/phase.mjs';
import { projectNode, root } from './lib/project.mjs';

/** Runs vitest, its output ours; resolves to its exit code when it has ended. Signals end it first. */
function runVitest(report) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn(projectNode(), [vitest, 'run', ...reporters, ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
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

const folder = mkdtempSync(join(tmpdir(), 'systemprompt-test-'));
try {
  phase(
    'install',
    () => isInstalled('all'),
    () => install('all'),
  );
  phase('build', isBuilt, buildInOwnNode);
  const report = join(folder, 'report.json');
  const exitCode = await runVitest(report);
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
