import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { withoutSecrets } from '../../infra/config/master-key/variables.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { runTool } from '../../infra/process/run-tool.ts';
import { CancelledError, PreconditionError } from '../../shared/errors.ts';
import { isWithin } from '../../shared/paths.ts';

const timeoutMs = 600_000;
const keptBytes = 64 * 1024;

/**
 * Builds the core, where its sources are.
 * @param root the folder of the package that runs
 * @throws PreconditionError outside a checkout of systemprompt, and with what the build says when it fails
 */
export async function buildCore(
  { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  signal: AbortSignal,
  root: string = packageRoot(),
): Promise<{ readonly message: string; readonly durationMs: number }> {
  const script = join(root, 'scripts', 'build.mjs');
  if (!isWithin(root, resolve(cwd)) || !existsSync(script) || !existsSync(join(root, 'src'))) {
    throw new PreconditionError(
      `There are no sources of systemprompt in ${resolve(cwd)}: the package is built already`,
      {
        hint: "What is built in a project are the project's extensions",
        next: ['build mcp'],
      },
    );
  }
  const started = performance.now();
  const run = await runTool({
    file: process.execPath,
    args: [script],
    env: withoutSecrets(env),
    cwd: root,
    timeoutMs,
    maxOutputBytes: keptBytes,
    signal,
  });
  if (run.cancelled) throw new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
  if (run.exitCode !== 0) {
    throw new PreconditionError(`The build failed:\n${run.stderr.trim() || run.stdout.trim()}`, {
      hint: 'What was built before is still there',
    });
  }
  return { message: run.stdout.trim(), durationMs: Math.round(performance.now() - started) };
}
