// `npm run test:soak`: builds, then runs the soak (test/soak) on the project's own Node.js. Arguments are the soak's.
//
//   npm run test:soak -- sessions [count] [seconds]   4,000 sessions of old clients held for ten minutes instead
//   npm run test:soak -- fuzz [seconds]               the fuzz of the MCP router for ten minutes instead
//   npm run test:soak -- real [rounds]                servers and clients of the npm registry, which it needs
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { isBuilt } from './build.mjs';
import { buildInOwnNode, phase } from './lib/phase.mjs';
import { projectNode, root } from './lib/project.mjs';

phase('build', isBuilt, buildInOwnNode);
const [what, ...rest] = process.argv.slice(2);
const programs = {
  sessions: [join(root, 'test/soak/sessions.ts'), ...rest],
  real: [join(root, 'test/soak/real-servers.ts'), ...rest],
  fuzz: [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/lib/app/router/fuzz.integration.test.ts'],
};
const env = what === 'fuzz' ? { ...process.env, FUZZ_SECONDS: rest[0] ?? '600' } : process.env;
const program = programs[what] ?? [join(root, 'test/soak/run.ts'), ...process.argv.slice(2)];
const child = spawn(projectNode(), program, { cwd: root, stdio: 'inherit', env });
// It clears away what it started; a terminal's Ctrl-C reaches it by itself.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
