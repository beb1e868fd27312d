import { NotFoundError } from '../../shared/errors.ts';

/** To its client a session of somebody else, or of a run of the server that is over, does not exist: 404 makes it begin a new one (MCP 2025-11-25). */
export function unknownSession(): NotFoundError {
  return new NotFoundError('There is no such session.', {
    hint: 'It ended, or its server was started anew: begin a new one with initialize.',
  });
}
