// Runs every benchmark on the project's own Node.js, one after another, then renews the tables of docs/performance.md.
import { spawnSync } from 'node:child_process';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

for (const script of [
  'scripts/build.mjs',
  'bench/cold-start.ts',
  'bench/build.ts',
  'bench/footprint.ts',
  'bench/streams.ts',
  'bench/mcp-router/run.ts',
  'bench/auth/run.ts',
  'bench/metrics.ts',
  'bench/supervisor/run.ts',
  'scripts/generate-performance-docs.mjs',
]) {
  const { status } = spawnSync(process.execPath, [script], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
