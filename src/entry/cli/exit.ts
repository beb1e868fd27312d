import type { AppError, ErrorCode } from '../../lib/shared/errors.ts';

/** The exit code of every error code: few, documented in docs/cli.md, and total by the compiler's word. */
export const exitCodes: Readonly<Record<ErrorCode, number>> = {
  USAGE: 2,
  NOT_FOUND: 3,
  UNAUTHENTICATED: 4,
  FORBIDDEN: 4,
  ANSWER_NEEDED: 5,
  CONFIG_INVALID: 6,
  PRECONDITION: 6,
  PORT_TAKEN: 6,
  DATABASE_UNAVAILABLE: 6,
  SUPERVISOR_UNAVAILABLE: 6,
  API_UNAVAILABLE: 6,
  AUDIT_UNAVAILABLE: 6,
  UPSTREAM_UNAVAILABLE: 1,
  UPSTREAM_FAILED: 1,
  TOO_LARGE: 1,
  RATE_LIMITED: 1,
  CONFLICT: 1,
  INTERNAL: 1,
  TIMEOUT: 7,
  PARTIAL: 8,
  CANCELLED: 130,
};

const meanings: Readonly<Record<number, string>> = {
  0: 'done; also when there was nothing to do',
  1: 'failed',
  2: 'the command line is wrong',
  3: 'what was asked for does not exist',
  4: 'not signed in, or not permitted',
  5: 'a question would have to be asked and nobody is there',
  6: 'configuration or something it stands on',
  7: 'waited long enough; look with infra services status',
  8: 'partly done',
  130: 'ended by Ctrl-C',
  143: 'ended by SIGTERM',
};

/** The exit codes with what they mean and the error codes that lead to each, for help and documentation. */
export function exitCodeMeanings(): { code: string; meaning: string; errors: string[] }[] {
  return Object.entries(meanings).map(([code, meaning]) => ({
    code,
    meaning,
    errors: Object.keys(exitCodes).filter((name) => exitCodes[name as ErrorCode] === Number(code)),
  }));
}

/** 128 + signal number, as a shell reports a process that a signal ended. */
export const signalExitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

export type InterruptSignal = keyof typeof signalExitCodes;

/** The exit code of an error; a cancellation that a signal asked for carries the signal in `data.signal`. */
export function exitCodeOf(error: AppError): number {
  const { signal } = error.data;
  if (error.code === 'CANCELLED' && typeof signal === 'string' && Object.hasOwn(signalExitCodes, signal)) {
    return signalExitCodes[signal as InterruptSignal];
  }
  return exitCodes[error.code] ?? 1;
}
