import { AppError, DatabaseUnavailableError, PreconditionError } from '../../shared/errors.ts';

/** Why there is no usable connection; for programs, in the error's `data.reason`. */
export type UnavailableReason =
  | 'refused'
  | 'unknown_host'
  | 'timeout'
  | 'starting'
  | 'stopping'
  | 'auth'
  | 'no_database'
  | 'no_right'
  | 'too_many_connections'
  | 'tls'
  | 'lost';

interface Finding {
  readonly reason: UnavailableReason;
  readonly text: string;
  readonly hint?: string;
}

/** Where a connection was meant to go, without its password. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** Reasons that may pass by themselves: worth another try while the wait lasts. */
const passing: ReadonlySet<UnavailableReason> = new Set([
  'refused',
  'unknown_host',
  'timeout',
  'starting',
  'stopping',
  'too_many_connections',
  'lost',
]);

/** System errors of the socket, by errno name. */
const socketFindings: Readonly<Record<string, Finding>> = {
  ECONNREFUSED: { reason: 'refused', text: 'nothing listens there' },
  ENOENT: { reason: 'refused', text: 'nothing listens there' },
  EACCES: { reason: 'refused', text: 'the socket belongs to another user' },
  ENOTFOUND: { reason: 'unknown_host', text: 'the host name is not known' },
  EAI_AGAIN: { reason: 'unknown_host', text: 'the host name could not be looked up' },
  EHOSTUNREACH: { reason: 'timeout', text: 'the host is not reachable' },
  ENETUNREACH: { reason: 'timeout', text: 'the network is not reachable' },
  ETIMEDOUT: { reason: 'timeout', text: 'it did not answer in time' },
  ECONNRESET: { reason: 'lost', text: 'the connection was cut' },
  EPIPE: { reason: 'lost', text: 'the connection was cut' },
};

const SQLSTATE_DISK_FULL = '53100';

const tlsCodes = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_)/;

/** SQLSTATE codes that a sign-in may end with, from PostgreSQL's appendix A "Error Codes". */
function signInFinding(code: string, target: Target): Finding | undefined {
  switch (code) {
    case '28000':
    case '28P01':
      return {
        reason: 'auth',
        text: `the sign-in of role ${target.user} was refused`,
        hint: 'Check the user and the password that the profile and the secrets hold.',
      };
    case '3D000':
      return { reason: 'no_database', text: `there is no database ${target.database}` };
    case '42501':
      return { reason: 'no_right', text: `role ${target.user} may not connect to database ${target.database}` };
    case '53300':
      return { reason: 'too_many_connections', text: 'it has no free connection left' };
    default:
      return undefined;
  }
}

/** SQLSTATE codes with which a server ends a connection, also while a statement runs. */
function endFinding(code: string): Finding | undefined {
  switch (code) {
    case '57P01':
    case '57P02':
      return { reason: 'stopping', text: 'it is shutting down' };
    case '57P03':
      return { reason: 'starting', text: 'it does not accept connections yet' };
    default:
      return code.startsWith('08') ? { reason: 'lost', text: 'the connection was cut' } : undefined;
  }
}

/** What the driver itself says, in words alone. */
function driverFinding(message: string): Finding | undefined {
  if (/timeout exceeded when trying to connect|Connection terminated due to connection timeout/.test(message)) {
    return { reason: 'timeout', text: 'it did not answer in time' };
  }
  if (/Connection terminated|Client has encountered a connection error|Client was closed/.test(message)) {
    return { reason: 'lost', text: 'the connection was cut' };
  }
  if (/The server does not support SSL connections/.test(message)) {
    return {
      reason: 'tls',
      text: 'it does not offer TLS',
      hint: 'Leave sslmode out of the URL, or switch TLS on in the server.',
    };
  }
  if (/SASL|password must be a string|SCRAM/.test(message)) {
    return { reason: 'auth', text: 'the sign-in failed' };
  }
  return undefined;
}

function findingOf(
  error: Error & { code?: unknown; errors?: unknown },
  target: Target,
  signingIn: boolean,
): Finding | undefined {
  // A name with several addresses fails with one error for each of them.
  if (Array.isArray(error.errors) && error.errors[0] instanceof Error)
    return findingOf(error.errors[0], target, signingIn);
  const code = typeof error.code === 'string' ? error.code : '';
  if (tlsCodes.test(code)) {
    return {
      reason: 'tls',
      text: `its certificate was not accepted (${code})`,
      hint: 'Name the issuing authority with NODE_EXTRA_CA_CERTS, or use sslmode=no-verify on a network that you trust.',
    };
  }
  const socket = Object.hasOwn(socketFindings, code) ? socketFindings[code] : undefined;
  return (
    socket ?? endFinding(code) ?? (signingIn ? signInFinding(code, target) : undefined) ?? driverFinding(error.message)
  );
}

/**
 * Turns what the driver throws while it connects into DatabaseUnavailableError with `data.reason`; any other error is
 * returned as it is. Never quotes the password.
 */
export function toConnectError(error: unknown, target: Target): unknown {
  return mapped(error, target, true);
}

/**
 * The same for a connection that breaks while a statement runs. What PostgreSQL says about the statement itself (a
 * constraint, a missing right, a full disk) is returned as it is.
 */
export function toLossError(error: unknown, target: Target): unknown {
  return mapped(error, target, false);
}

/** As `toLossError`, and a full disk becomes PreconditionError. */
export function toStatementError(error: unknown, target: Target): unknown {
  return sqlState(error) === SQLSTATE_DISK_FULL ? diskFull(error) : toLossError(error, target);
}

function diskFull(error: unknown): PreconditionError {
  return new PreconditionError('The disk that holds the database is full: nothing can be written to it.', {
    hint: 'Free some space there, then try again; nothing has to be started anew.',
    next: ['doctor', 'infra services status'],
    data: { reason: 'disk_full' },
    cause: error,
  });
}

function mapped(error: unknown, target: Target, signingIn: boolean): unknown {
  if (!(error instanceof Error) || error instanceof AppError) return error;
  const finding = findingOf(error, target, signingIn);
  if (finding === undefined) return error;
  const place = target.host.startsWith('/') ? `socket ${target.host}` : `${target.host}:${target.port}`;
  return new DatabaseUnavailableError(`PostgreSQL at ${place} can't be used: ${finding.text}.`, {
    ...(finding.hint === undefined ? {} : { hint: finding.hint }),
    // Whoever stopped it, a start brings our own server back; another's it leaves alone.
    next: finding.reason === 'refused' ? ['infra services status', 'infra services start'] : ['infra services status'],
    data: {
      reason: finding.reason,
      host: target.host,
      port: target.port,
      database: target.database,
      user: target.user,
    },
    cause: error,
  });
}

/** Why there is no connection, when that is what the error is about. */
export function reasonOf(error: unknown): UnavailableReason | undefined {
  return error instanceof DatabaseUnavailableError ? (error.data.reason as UnavailableReason | undefined) : undefined;
}

/** Whether another try may succeed without anybody doing something. */
export function isPassing(error: unknown): boolean {
  const reason = reasonOf(error);
  return reason !== undefined && passing.has(reason);
}

/** The SQLSTATE of an error that PostgreSQL reported, else undefined. */
export function sqlState(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && code.length === 5 && code !== 'EPIPE' ? code : undefined;
}
