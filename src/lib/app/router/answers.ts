import type { ServerResponse } from 'node:http';
import type { AppError, ErrorCode } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import { isRecord, type RequestId } from './jsonrpc.ts';
import { messageEvent } from './sse.ts';

/** Tells the caller under which id the audit has the call. */
export const executionHeader = 'x-systemprompt-execution-id';

/** First of the codes that JSON-RPC leaves to servers; ours are told apart by `data.code`. */
const serverError = -32000;

/** HTTP status of each error that the router answers with; every other one is a fault of ours. */
const statuses: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  NOT_FOUND: 404,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  TOO_LARGE: 413,
  RATE_LIMITED: 429,
  UPSTREAM_FAILED: 502,
  UPSTREAM_UNAVAILABLE: 503,
  AUDIT_UNAVAILABLE: 503,
  DATABASE_UNAVAILABLE: 503,
  API_UNAVAILABLE: 503,
  CANCELLED: 503,
  TIMEOUT: 504,
};

/** Errors that pass: how long to wait before another try, in seconds. */
const retryAfter: Partial<Record<ErrorCode, string>> = {
  UPSTREAM_UNAVAILABLE: '1',
  API_UNAVAILABLE: '1',
  AUDIT_UNAVAILABLE: '1',
  DATABASE_UNAVAILABLE: '1',
};

export interface ErrorAnswer {
  readonly error: AppError;
  readonly id?: RequestId | null | undefined;
  /** JSON-RPC code, when the error is one of the protocol's own. */
  readonly code?: number;
  readonly status?: number;
  readonly executionId?: ExecutionId | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers with a JSON-RPC error: as the body, or as the last event of a stream that has begun. */
export function sendError(res: ServerResponse, answer: ErrorAnswer): void {
  if (res.destroyed || res.writableEnded) return;
  const body = errorBody(answer);
  if (res.headersSent) {
    res.end(messageEvent(body));
    return;
  }
  const { code } = answer.error;
  const status = answer.status ?? statuses[code] ?? 500;
  const { retry_after_seconds: seconds } = answer.error.data;
  const retry = typeof seconds === 'number' ? String(seconds) : retryAfter[code];
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(retry === undefined ? {} : { 'retry-after': retry }),
    ...(answer.executionId === undefined ? {} : { [executionHeader]: answer.executionId }),
    ...answer.headers,
  });
  res.end(body);
}

/** The error as JSON-RPC. Of a fault of ours only the code is told: message and cause are for the log. */
function errorBody({ error, id, code, executionId }: ErrorAnswer): string {
  const ours = statuses[error.code] === undefined;
  return JSON.stringify({
    jsonrpc: '2.0',
    id: id ?? null,
    error: {
      code: code ?? (ours ? -32603 : serverError),
      message: ours ? 'Something went wrong inside.' : error.message,
      data: {
        code: error.code,
        ...(ours || error.hint === undefined ? {} : { hint: error.hint }),
        ...(ours || error.next.length === 0 ? {} : { next: error.next }),
        ...retryFields(error, ours),
        ...(error.data['reason'] === 'credentials_missing' ? missingCredentials(error) : {}),
        ...(executionId === undefined ? {} : { execution_id: executionId }),
        ...(isRecord(error.data) && Array.isArray(error.data['missing'])
          ? { missing_scopes: error.data['missing'] }
          : {}),
      },
    },
  });
}

/** What the caller has to bring for the server, and where: it is something between the two, and no fault of the connection. */
function missingCredentials({ data }: AppError): Record<string, unknown> {
  const { reason, server, credentials, url } = data;
  return { reason, server, credentials, url };
}

/** When another try makes sense, and what stands against this one, where that is known. */
function retryFields({ data }: AppError, ours: boolean): Record<string, unknown> {
  const { retry_after_seconds: seconds, reason } = data;
  if (ours || typeof seconds !== 'number') return {};
  return { retry_after_seconds: seconds, ...(typeof reason === 'string' ? { reason } : {}) };
}
