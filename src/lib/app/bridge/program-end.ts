import { hasCode } from '../../infra/process/identity.ts';
import type { ExitStatus } from '../../infra/process/spawn.ts';
import type { BackendEnded } from './backend.ts';
import { startFailed } from './faults.ts';

/** Why a program is no more, in words for its callers. */
export function endedReason({ code, signal }: ExitStatus, stopped: boolean, stderr: string): BackendEnded {
  const how = signal === null ? `with exit code ${code}` : `by ${signal}`;
  const message = stopped ? 'The server was stopped.' : `The program of the server ended ${how}.`;
  return { message, exitCode: code, signal, stderr };
}

/** What the operating system said against the start of a program. */
export function cannotStart(program: string, error: unknown): Error {
  if (hasCode(error, 'ENOENT')) {
    const hint = 'Write a program that is on the PATH or a whole path, and a working folder that exists.';
    return startFailed({ message: `The program ${program} or its working folder does not exist.` }, hint);
  }
  if (hasCode(error, 'EACCES')) return startFailed({ message: `The program ${program} may not be executed.` });
  if (error instanceof Error && 'code' in error) {
    return startFailed({ message: `The program ${program} could not be started (${String(error.code)}).` });
  }
  return error instanceof Error ? error : new Error(String(error));
}
