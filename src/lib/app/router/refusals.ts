import type { IncomingMessage } from 'node:http';
import { challengeFor } from '../../domain/auth/index.ts';
import { ApiUnavailableError, UsageError } from '../../shared/errors.ts';
import { type ErrorAnswer, sendError } from './answers.ts';
import { endUnread } from './body.ts';
import type { Exchange, McpWay, Route } from './exchange.ts';
import { mediaType } from './headers.ts';

/**
 * Answers with an error, with a challenge where the error asks for one, and lets go of a client that is still sending.
 */
export function refuse(exchange: Pick<Exchange, 'req' | 'res' | 'route' | 'headers'>, answer: ErrorAnswer): void {
  const { req, res, route } = exchange;
  const challenge = res.headersSent ? undefined : challengeFor(answer.error, route.resource);
  const unread = !req.complete;
  // Clients show their users an answer; a status of HTTP many of them take for the end of the connection.
  const answered = answer.error.data['reason'] === 'credentials_missing' && (answer.id ?? null) !== null;
  sendError(res, {
    ...answer,
    ...(answered ? { status: 200 } : {}),
    ...(challenge === undefined ? {} : { status: challenge.status }),
    headers: {
      ...exchange.headers,
      ...answer.headers,
      ...(unread ? { connection: 'close' } : {}),
      ...(challenge === undefined ? {} : { 'www-authenticate': challenge.header }),
    },
  });
  if (unread) endUnread(req, res);
}

/**
 * MCP 2025-11-25, Streamable HTTP: what a POST must be and must be able to take.
 * @param answered whether the answer is one to the request itself
 */
export function checkPostHeaders(req: IncomingMessage, answered = true): ErrorAnswer | undefined {
  if (mediaType(req.headers) !== 'application/json') {
    return { error: new UsageError('A message is sent as Content-Type: application/json.'), status: 415 };
  }
  const { accept, 'content-encoding': encoding } = req.headers;
  if (encoding !== undefined && encoding !== 'identity') {
    // RFC 9110 §12.5.3: the answer says what would have been taken.
    const error = new UsageError('A message is sent without Content-Encoding.');
    return { error, status: 415, headers: { 'accept-encoding': 'identity' } };
  }
  if (!answered || accept === undefined || accepts(accept, 'application/json', 'text/event-stream')) return undefined;
  return {
    error: new UsageError('The answer may be application/json or text/event-stream: accept both.'),
    status: 406,
  };
}

const methodNotAllowed: ErrorAnswer = {
  error: new UsageError('This address takes POST, GET and DELETE.'),
  status: 405,
  headers: { allow: 'POST, GET, DELETE' },
};

/** A client that tries Streamable HTTP here hears that it is the older way (MCP 2025-11-25, backwards compatibility). */
const legacyMethods: ErrorAnswer = {
  error: new UsageError('GET …/sse opens a stream; what it names takes POST.'),
  status: 405,
  headers: { allow: 'GET' },
};

const noStream: ErrorAnswer = {
  error: new UsageError('This address takes POST and DELETE.'),
  status: 405,
  headers: { allow: 'POST, DELETE' },
};

/**
 * The refusal of a method that an address doesn't have. A virtual server says nothing by itself: there is nothing to listen
 * to.
 */
export function wrongMethod({ config }: Route, way: McpWay, method: string | undefined): ErrorAnswer | undefined {
  if (way === 'sse') return method === 'GET' ? undefined : legacyMethods;
  if (way === 'messages') return method === 'POST' ? undefined : legacyMethods;
  if (config.kind === 'virtual') return method === 'POST' || method === 'DELETE' ? undefined : noStream;
  return method === 'POST' || method === 'GET' || method === 'DELETE' ? undefined : methodNotAllowed;
}

export function shuttingDown(): ApiUnavailableError {
  return new ApiUnavailableError('The API is shutting down.', { hint: 'Try again in a moment.' });
}

function accepts(accept: string, ...types: readonly string[]): boolean {
  const ranges = accept.toLowerCase();
  return types.every(
    (type) => ranges.includes(type) || ranges.includes('*/*') || ranges.includes(`${type.split('/')[0]}/*`),
  );
}
