import { spawn } from 'node:child_process';
import { withoutSecrets } from '../config/master-key/variables.ts';

/** Starts a module of ours that goes on when this process ends, and that nobody waits for. Fails in silence. */
export function startInBackground(module: string, env: NodeJS.ProcessEnv, cwd: string): void {
  const child = spawn(process.execPath, [module], { env: withoutSecrets(env), cwd, detached: true, stdio: 'ignore' });
  child.once('error', () => undefined);
  child.unref();
}
