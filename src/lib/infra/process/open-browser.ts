import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withoutSecrets } from '../config/master-key/variables.ts';

/**
 * The program that opens an address in the browser of whoever sits at this machine.
 * @returns undefined where nobody sits: over SSH, without a display, or where there is no such program
 */
export function browserProgram(
  env: NodeJS.ProcessEnv,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  if (isSet(env['SSH_CONNECTION']) || isSet(env['SSH_TTY'])) return undefined;
  if (platform === 'darwin') return 'open';
  if (!isSet(env['DISPLAY']) && !isSet(env['WAYLAND_DISPLAY'])) return undefined;
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  return folders.map((folder) => join(folder, 'xdg-open')).find(isExecutable);
}

/**
 * Opens an address, without a shell and without waiting for the browser.
 * @param url absolute, http or https: what begins with a dash would be a flag
 * @returns whether the program could be started
 */
export function openInBrowser(program: string, url: URL, env: NodeJS.ProcessEnv): Promise<boolean> {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return Promise.resolve(false);
  return new Promise((done) => {
    const child = spawn(program, [url.href], { env: withoutSecrets(env), cwd: '/', detached: true, stdio: 'ignore' });
    child.once('error', () => done(false));
    child.once('spawn', () => {
      child.unref();
      done(true);
    });
  });
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
