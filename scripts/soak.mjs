// `npm run test:soak`: builds, then runs the soak (test/soak) on the project's own Node.js. Arguments are the soak's.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { isBuilt } from './build.mjs';
import { buildInOwnNode, phase } from './lib/phase.mjs';
import { projectNode, root } from './lib/project.mjs';

phase('build', isBuilt, buildInOwnNode);
const child = spawn(projectNode(), [join(root, 'test/soak/run.ts'), ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
// It clears away what it started; a terminal's Ctrl-C reaches it by itself.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 1));
