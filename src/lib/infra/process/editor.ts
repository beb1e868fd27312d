import { spawn } from 'node:child_process';
import { PreconditionError } from '../../shared/errors.ts';
import { withoutSecrets } from '../config/master-key/variables.ts';

/**
 * Lets a person edit a file in their editor, and waits until it is closed. It draws on standard error, so that the result
 * on standard output stays alone.
 *
 * @param command of `$VISUAL` or `$EDITOR`: a line for the shell (`code --wait`), as POSIX has it for such variables
 * @returns whether the editor ended well
 * @throws PreconditionError when it can't be started
 */
export async function runEditor(command: string, file: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  return await new Promise((done, fail) => {
    const child = spawn('/bin/sh', ['-c', `${command} "$1"`, 'sh', file], {
      env: withoutSecrets(env),
      stdio: ['inherit', 2, 2],
    });
    child.once('error', (cause) => fail(new PreconditionError('The editor could not be started.', { cause })));
    child.once('exit', (code) => done(code === 0));
  });
}
