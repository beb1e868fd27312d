import { SupervisorUnavailableError } from '../../shared/errors.ts';

/** Whether an error says that no supervisor runs; another user's socket in its place is something else. */
export function isNotRunning(error: unknown): error is SupervisorUnavailableError {
  return error instanceof SupervisorUnavailableError && error.data['reason'] !== 'foreign_socket';
}
