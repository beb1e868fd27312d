import { STATUS_CODES } from 'node:http';
import { type AppError, type ErrorCode, toAppError, UsageError } from '../../lib/shared/errors.ts';

export const problemContentType = 'application/problem+json; charset=utf-8';

/** HTTP status and title of every error code; the compiler refuses a code that is missing here. */
const answers: Record<ErrorCode, readonly [status: number, title: string]> = {
  USAGE: [400, 'The request is not understood'],
  NOT_FOUND: [404, 'There is nothing here'],
  UNAUTHENTICATED: [401, 'Sign-in is needed'],
  FORBIDDEN: [403, 'This is not allowed'],
  ANSWER_NEEDED: [422, 'An answer is needed'],
  CONFIG_INVALID: [500, 'The configuration does not hold'],
  PRECONDITION: [409, 'Something must be done first'],
  PORT_TAKEN: [503, 'A port is taken'],
  DATABASE_UNAVAILABLE: [503, 'The database is not available'],
  SUPERVISOR_UNAVAILABLE: [503, 'The supervisor is not available'],
  API_UNAVAILABLE: [503, 'The API is not available'],
  UPSTREAM_UNAVAILABLE: [503, 'The server behind this address is not available'],
  UPSTREAM_FAILED: [502, 'The server behind this address failed'],
  AUDIT_UNAVAILABLE: [503, 'The audit is not available, so nothing is done'],
  TOO_LARGE: [413, 'It is too large'],
  RATE_LIMITED: [429, 'That was too much at once'],
  CONFLICT: [409, 'It conflicts with what is there'],
  TIMEOUT: [504, 'It took too long'],
  PARTIAL: [500, 'Only a part was done'],
  CANCELLED: [503, 'It was cancelled'],
  INTERNAL: [500, 'Something went wrong inside'],
};

/** A problem document (RFC 9457) with our code, remedy and the request's id. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  readonly code: ErrorCode;
  readonly request_id: string;
  readonly hint?: string;
  readonly next?: readonly string[];
  readonly data?: Readonly<Record<string, unknown>>;
}

function statusOf(code: ErrorCode): number {
  return answers[code][0];
}

export function titleOf(code: ErrorCode): string {
  return answers[code][1];
}

/**
 * The problem document of an error. Of a fault on our side only code and title are told, never message, cause or
 * stack: those are for the log, which the request's id leads to.
 */
export function toProblem(error: AppError, requestId: string, status: number = statusOf(error.code)): Problem {
  const own = statusOf(error.code) === status;
  const base = {
    type: `urn:systemprompt:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title: own ? titleOf(error.code) : (STATUS_CODES[status] ?? titleOf(error.code)),
    status,
    code: error.code,
    request_id: requestId,
  };
  if (status >= 500) return base;
  return {
    ...base,
    detail: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.next.length === 0 ? {} : { next: error.next }),
    ...(Object.keys(error.data).length === 0 ? {} : { data: error.data }),
  };
}

/** Anything thrown in a route, as one of our errors and the status to answer with. */
export function toAnswer(thrown: unknown): { readonly error: AppError; readonly status: number } {
  const status = clientStatusOf(thrown);
  if (status === undefined) {
    const error = toAppError(thrown);
    return { error, status: statusOf(error.code) };
  }
  return { error: new UsageError((thrown as Error).message, { cause: thrown }), status };
}

/** Fastify's own errors for bad requests (too large, wrong media type, broken JSON) carry a status below 500. */
function clientStatusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('statusCode' in thrown) || !('code' in thrown)) return undefined;
  const { statusCode, code } = thrown;
  const isFastify = typeof code === 'string' && code.startsWith('FST_');
  return isFastify && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : undefined;
}
