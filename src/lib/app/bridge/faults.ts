import { type AppError, toAppError, UpstreamFailedError } from '../../shared/errors.ts';
import type { BackendEnded } from './backend.ts';
import { JsonRpcMessage, type RequestId } from './message.ts';

/** First of the codes that JSON-RPC leaves to servers; ours are told apart by `data.code`, as at the router. */
const serverError = -32000;
const internalError = -32603;

/** What the server behind did wrong, as the answer of the request that it hit. */
export function faultAnswer(id: RequestId | null, message: string, more: Readonly<Record<string, unknown>> = {}) {
  return JsonRpcMessage.error(id, serverError, message, { code: 'UPSTREAM_FAILED', ...more });
}

/** An error as the answer of a request. Of a fault of ours only the code is told. */
export function errorAnswer(id: RequestId | null, thrown: unknown): JsonRpcMessage {
  const error: AppError = toAppError(thrown);
  if (error.code === 'INTERNAL') {
    return JsonRpcMessage.error(id, internalError, 'Something went wrong inside.', { code: error.code });
  }
  return JsonRpcMessage.error(id, serverError, error.message, {
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.next.length === 0 ? {} : { next: error.next }),
    ...error.data,
  });
}

/** Why an instance ended, as far as a caller is told. */
export function endedData({ exitCode, signal, stderr }: BackendEnded): Readonly<Record<string, unknown>> {
  return {
    ...(exitCode === undefined || exitCode === null ? {} : { exit_code: exitCode }),
    ...(signal === undefined || signal === null ? {} : { signal }),
    ...(stderr === undefined || stderr === '' ? {} : { stderr }),
  };
}

/** An instance that could not be had. */
export function startFailed(ended: BackendEnded, hint?: string): UpstreamFailedError {
  return new UpstreamFailedError(ended.message, {
    ...(hint === undefined ? {} : { hint }),
    next: ['plugins mcp status'],
    data: endedData(ended),
  });
}
