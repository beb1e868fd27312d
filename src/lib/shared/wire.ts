import * as errors from './errors.ts';

/** An error as it travels between processes of ours: what the classes of `errors.ts` carry. */
export interface WireError {
  readonly code: errors.ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly next?: readonly string[];
  readonly data?: Readonly<Record<string, unknown>>;
}

type Constructor = new (message: string, details?: errors.ErrorDetails) => errors.AppError;

const classes: Readonly<Record<Exclude<errors.ErrorCode, 'CONFIG_INVALID'>, Constructor>> = {
  USAGE: errors.UsageError,
  NOT_FOUND: errors.NotFoundError,
  UNAUTHENTICATED: errors.UnauthenticatedError,
  FORBIDDEN: errors.ForbiddenError,
  ANSWER_NEEDED: errors.AnswerNeededError,
  PRECONDITION: errors.PreconditionError,
  PORT_TAKEN: errors.PortTakenError,
  DATABASE_UNAVAILABLE: errors.DatabaseUnavailableError,
  SUPERVISOR_UNAVAILABLE: errors.SupervisorUnavailableError,
  API_UNAVAILABLE: errors.ApiUnavailableError,
  UPSTREAM_UNAVAILABLE: errors.UpstreamUnavailableError,
  UPSTREAM_FAILED: errors.UpstreamFailedError,
  AUDIT_UNAVAILABLE: errors.AuditUnavailableError,
  TOO_LARGE: errors.TooLargeError,
  RATE_LIMITED: errors.RateLimitedError,
  CONFLICT: errors.ConflictError,
  TIMEOUT: errors.TimeoutError,
  PARTIAL: errors.PartialError,
  CANCELLED: errors.CancelledError,
  INTERNAL: errors.InternalError,
};

/** The class of an error code; undefined for a word that is none, and for CONFIG_INVALID, which needs its findings. */
export function errorClass(code: string): Constructor | undefined {
  return Object.hasOwn(classes, code) ? classes[code as keyof typeof classes] : undefined;
}

/** An error as data; causes stay behind, they are for the log. */
export function errorToWire(error: unknown): WireError {
  const known = errors.toAppError(error);
  return {
    code: known.code,
    message: known.message,
    ...(known.hint === undefined ? {} : { hint: known.hint }),
    ...(known.next.length === 0 ? {} : { next: known.next }),
    ...(Object.keys(known.data).length === 0 ? {} : { data: known.data }),
  };
}

/** The error that the other side threw, as the same class. */
export function errorFromWire(wire: WireError): errors.AppError {
  const details = {
    ...(wire.hint === undefined ? {} : { hint: wire.hint }),
    ...(wire.next === undefined ? {} : { next: wire.next }),
    ...(wire.data === undefined ? {} : { data: wire.data }),
  };
  if (wire.code === 'CONFIG_INVALID') {
    const issues = wire.data?.['issues'];
    return new errors.ConfigInvalidError(Array.isArray(issues) ? (issues as errors.ConfigIssue[]) : [], details);
  }
  const Class = classes[wire.code] ?? errors.InternalError;
  return new Class(wire.message, details);
}

/** Whether a parsed answer has the shape of {@link WireError}. */
export function isWireError(value: unknown): value is WireError {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    'message' in value &&
    typeof value.message === 'string'
  );
}
