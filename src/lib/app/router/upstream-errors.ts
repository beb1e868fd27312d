import { AppError, toAppError, UpstreamFailedError } from '../../shared/errors.ts';

const notConnected: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET_ON_CONNECT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** What went wrong on the way to a server, told without its address. */
export function toUpstreamError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === undefined) return toAppError(error);
  if (notConnected.has(code)) {
    return new UpstreamFailedError('The server could not be reached.', {
      hint: 'It may have just ended; try again in a moment.',
      next: ['infra services status'],
      data: { reason: code },
      cause: error,
    });
  }
  return new UpstreamFailedError('The server ended the connection before it had answered.', {
    hint: 'Whether the call had an effect is for the server’s log to say.',
    data: { reason: code },
    cause: error,
  });
}
