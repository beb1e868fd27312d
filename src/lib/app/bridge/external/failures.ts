import { FetchRefusedError } from '../../../infra/http/guarded-fetch.ts';
import { type AppError, UpstreamFailedError, UpstreamUnavailableError } from '../../../shared/errors.ts';
import { toUpstreamError } from '../../router/upstream-errors.ts';
import { errorAnswer } from '../faults.ts';
import { JsonRpcMessage, type RequestId } from '../message.ts';

/**
 * What a status of a server elsewhere means to who asked. Nothing of its body or headers is told: they may quote the
 * credentials that were sent, and a challenge there is none for the client here.
 */
export function refusedBy(status: number, retryAfter?: string): AppError {
  const data = { upstream_status: status };
  if (status === 401 || status === 403) {
    return new UpstreamFailedError(
      status === 401
        ? 'The server elsewhere does not take the credentials that it was given (401).'
        : 'The server elsewhere does not allow this to the credentials that it was given (403).',
      {
        hint: 'The credentials of this server (upstream_auth) have to be renewed or extended by whoever they belong to.',
        data: { ...data, reason: status === 401 ? 'upstream_unauthorized' : 'upstream_forbidden' },
      },
    );
  }
  if (status >= 300 && status < 400) {
    return new UpstreamFailedError(
      `The server elsewhere leads to another address (${status}), which is not followed.`,
      {
        hint: 'Write the address where it is now as the endpoint.',
        data: { ...data, reason: 'redirected' },
      },
    );
  }
  if (status === 429 || status === 503) {
    return new UpstreamUnavailableError(`The server elsewhere takes no requests at the moment (${status}).`, {
      hint: 'Try again later.',
      data: { ...data, ...(retryAfter === undefined ? {} : { retry_after: retryAfter }) },
    });
  }
  return new UpstreamFailedError(`The server elsewhere answered with status ${status}.`, { data });
}

/** A connection that failed, told without the address. */
export function unreached(thrown: unknown): AppError {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (error instanceof FetchRefusedError) {
      return new UpstreamFailedError(`The server elsewhere is not spoken to: ${error.message}.`, {
        hint: 'An address that is not public takes private_network: true.',
        data: { reason: 'address_refused' },
      });
    }
  }
  return toUpstreamError(thrown);
}

/** Of answers that no server gave. */
const failures = new WeakMap<JsonRpcMessage, AppError>();

/** The same as the answer of a request. */
export function failure(id: RequestId | null, error: AppError): JsonRpcMessage {
  const answer = errorAnswer(id, error);
  failures.set(answer, error);
  return answer;
}

/** What failed, when an answer is none of the server's. */
export function failureIn(answer: JsonRpcMessage): AppError | undefined {
  return failures.get(answer);
}

/** The session that the server elsewhere kept is gone, and with it what it knew. */
const sessionLostCode = -32_001;

export function sessionLost(id: RequestId | null): JsonRpcMessage {
  const message = 'The server elsewhere has ended the session.';
  return JsonRpcMessage.error(id, sessionLostCode, message, {
    reason: 'session_lost',
    hint: 'Begin a new one with initialize.',
  });
}
