// Runs benchmarks on the project's own Node.js, one after another, then renews the tables of docs/performance.md. Names say
// which (`npm run bench -- mcp-router streams`); without any all run but those that take long, which run by name alone.
import { spawnSync } from 'node:child_process';
import { ensureProjectNode, root } from './lib/project.mjs';

ensureProjectNode(import.meta.url);

const all = {
  'cold-start': 'bench/cold-start.ts',
  build: 'bench/build.ts',
  footprint: 'bench/footprint.ts',
  streams: 'bench/streams.ts',
  'mcp-router': 'bench/mcp-router/run.ts',
  'mcp-transports': 'bench/mcp-router/transports.ts',
  'mcp-fleet': 'bench/mcp-router/fleet.ts',
  'gateway-peers': 'bench/mcp-router/gateway-peers.ts',
  auth: 'bench/auth/run.ts',
  metrics: 'bench/metrics.ts',
  supervisor: 'bench/supervisor/run.ts',
  'audit-growth': 'bench/audit-growth.ts',
};
const byNameAlone = ['audit-growth'];

const names = process.argv.slice(2);
const unknown = names.filter((name) => !Object.hasOwn(all, name));
if (unknown.length > 0) {
  console.error(`No benchmark ${unknown.join(', ')}. There are: ${Object.keys(all).join(', ')}`);
  process.exit(2);
}
const wanted = names.length > 0 ? names : Object.keys(all).filter((name) => !byNameAlone.includes(name));

run('scripts/build.mjs');
for (const name of wanted) {
  console.log(`\n${name}`);
  const since = performance.now();
  run(all[name]);
  console.log(`${name} took ${Math.round((performance.now() - since) / 1_000)} s`);
}
run('scripts/generate-performance-docs.mjs');

function run(script) {
  const { status } = spawnSync(process.execPath, [script], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
