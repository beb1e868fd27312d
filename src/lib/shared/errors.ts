/**
 * Every error code of the product, closed: what went wrong is a code, never a message to be parsed. The two mappers
 * at the edge (`entry/cli/exit.ts`, `entry/api/problem.ts`) must name each of them; the compiler sees to it.
 */
export type ErrorCode =
  | 'USAGE'
  | 'NOT_FOUND'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'ANSWER_NEEDED'
  | 'CONFIG_INVALID'
  | 'PRECONDITION'
  | 'PORT_TAKEN'
  | 'DATABASE_UNAVAILABLE'
  | 'SUPERVISOR_UNAVAILABLE'
  | 'API_UNAVAILABLE'
  | 'UPSTREAM_UNAVAILABLE'
  | 'UPSTREAM_FAILED'
  | 'AUDIT_UNAVAILABLE'
  | 'TOO_LARGE'
  | 'RATE_LIMITED'
  | 'CONFLICT'
  | 'TIMEOUT'
  | 'PARTIAL'
  | 'CANCELLED'
  | 'INTERNAL';

export interface ErrorDetails {
  /** What to do instead, one sentence. */
  readonly hint?: string;
  /** Commands that help, without the prefix the CLI was invoked with (`infra services status`). */
  readonly next?: readonly string[];
  /** Facts for programs; never a secret. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The base of every error that the product raises on purpose. Anything else that is thrown is a fault of ours. */
export abstract class AppError extends Error {
  abstract readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly next: readonly string[];
  readonly data: Readonly<Record<string, unknown>>;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.hint = details.hint;
    this.next = details.next ?? [];
    this.data = details.data ?? {};
  }
}

export class UsageError extends AppError {
  readonly code = 'USAGE';
}
export class NotFoundError extends AppError {
  readonly code = 'NOT_FOUND';
}
export class UnauthenticatedError extends AppError {
  readonly code = 'UNAUTHENTICATED';
}
export class ForbiddenError extends AppError {
  readonly code = 'FORBIDDEN';
}
/** A question would have to be asked, and nobody is there to answer; the hint names the flag. */
export class AnswerNeededError extends AppError {
  readonly code = 'ANSWER_NEEDED';
}
export class PreconditionError extends AppError {
  readonly code = 'PRECONDITION';
}
export class PortTakenError extends AppError {
  readonly code = 'PORT_TAKEN';
}
export class DatabaseUnavailableError extends AppError {
  readonly code = 'DATABASE_UNAVAILABLE';
}
export class SupervisorUnavailableError extends AppError {
  readonly code = 'SUPERVISOR_UNAVAILABLE';
}
/** Whether an error says that no supervisor runs; another user's socket in its place is something else. */
export function isNotRunning(error: unknown): error is SupervisorUnavailableError {
  return error instanceof SupervisorUnavailableError && error.data['reason'] !== 'foreign_socket';
}
export class ApiUnavailableError extends AppError {
  readonly code = 'API_UNAVAILABLE';
}
export class UpstreamUnavailableError extends AppError {
  readonly code = 'UPSTREAM_UNAVAILABLE';
}
export class UpstreamFailedError extends AppError {
  readonly code = 'UPSTREAM_FAILED';
}
/** The audit store can't take the row, so the call is not made (or its answer not given). */
export class AuditUnavailableError extends AppError {
  readonly code = 'AUDIT_UNAVAILABLE';
}
export class TooLargeError extends AppError {
  readonly code = 'TOO_LARGE';
}
/** A caller asks more than its share; `data.retry_after_seconds` says when to come back. */
export class RateLimitedError extends AppError {
  readonly code = 'RATE_LIMITED';
}
export class ConflictError extends AppError {
  readonly code = 'CONFLICT';
}
/** The wait ended, the state is unknown: `next` says where to look. */
export class TimeoutError extends AppError {
  readonly code = 'TIMEOUT';
}
/** Some of it was done; `data` says which. */
export class PartialError extends AppError {
  readonly code = 'PARTIAL';
}
export class CancelledError extends AppError {
  readonly code = 'CANCELLED';
}
export class InternalError extends AppError {
  readonly code = 'INTERNAL';
}

/** One finding in a configuration file. `line` and `column` count from 1. */
export interface ConfigIssue {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What is wrong. */
  readonly message: string;
  /** What to write instead. */
  readonly hint?: string;
  /** The command that mends it. */
  readonly next?: string;
}

/** Configuration does not hold; carries every finding at once. */
export class ConfigInvalidError extends AppError {
  readonly code = 'CONFIG_INVALID';
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[], details: ErrorDetails = {}) {
    const lines = issues.map((issue) => {
      const remedy = issue.hint === undefined ? '' : `  ${issue.hint}`;
      return `${issue.file}:${issue.line}:${issue.column}  ${issue.message}${remedy}`;
    });
    const mending = new Set(issues.flatMap(({ next }) => next ?? []));
    const next = details.next ?? (mending.size === 0 ? undefined : [...mending].slice(0, 3));
    super(lines.join('\n'), { ...details, ...(next && { next }), data: { ...details.data, issues } });
    this.issues = issues;
  }
}

/** The error itself when it is one of ours, else wrapped as INTERNAL with the cause kept. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new InternalError(message, { cause: error });
}
