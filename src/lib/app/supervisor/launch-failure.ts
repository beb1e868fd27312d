import { hasCode } from '../../infra/process/identity.ts';
import { AppError } from '../../shared/errors.ts';

/** Errors that a person must mend end the tries; those that may pass (no memory, no disk, no database) don't. */
export function launchFailureIsFinal(error: unknown): boolean {
  const code = error instanceof AppError ? error.code : undefined;
  const final = code === 'PORT_TAKEN' || code === 'CONFIG_INVALID' || code === 'PRECONDITION' || code === 'NOT_FOUND';
  const mayPass = error instanceof AppError && error.data['reason'] === 'disk_full';
  return (final && !mayPass) || hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'ENOTDIR', 'ENOEXEC');
}
