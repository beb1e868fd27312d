import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authorization } from '../../lib/app/oauth/open.ts';
import type { OAuthPages } from '../../lib/app/oauth/pages.ts';
import { type OAuthPath, oauthPath } from '../../lib/app/oauth/paths.ts';
import type { AppError } from '../../lib/shared/errors.ts';
import type { ApiDependencies, OAuthHandler } from './dependencies.ts';
import { createGate } from './gate.ts';
import { requestIdOf } from './mcp-door.ts';
import { toAnswer } from './problem.ts';

type DoorDependencies = Pick<ApiDependencies, 'externalUrl' | 'web' | 'logger' | 'rateLimiter' | 'oauth'>;

/** The authorization server as the routes and the door stand on it. */
export function oauthHandler({ server, browser }: Authorization, pages: OAuthPages): OAuthHandler {
  return {
    handle: (request, response) => server.handle(request, response),
    interactions: server.interactions,
    browser,
    pages,
  };
}

/** Of a request to the authorization server; forms are small. */
const bodyLimitBytes = 56 * 1024;
const cutAfterMs = 1000;
/** Headers that mean something else when they come twice. */
const single = new Set(['authorization', 'content-type', 'dpop']);
/** How long others may keep the metadata. */
const kept = 'public, max-age=300';
/** What programs in pages may send; cookies are not among it. */
const preflightHeaders = {
  'access-control-allow-headers': 'authorization, content-type, dpop, mcp-protocol-version',
  'access-control-max-age': '600',
  vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
};

/** The error of RFC 6749 section 5.2 for a refusal of the door. */
const errorCodes: Readonly<Record<number, string>> = {
  403: 'access_denied',
  429: 'slow_down',
  503: 'temporarily_unavailable',
};

/**
 * Takes the requests to the authorization server before the framework sees them, since the library reads bodies and
 * writes answers by itself. It is behind the same gate as everything else; pages of other sites may ask what reads no
 * cookie. Gives back false for a request that is not its affair.
 */
export function createOAuthDoor(
  deps: DoorDependencies,
): (request: IncomingMessage, response: ServerResponse) => boolean {
  const { oauth } = deps;
  if (oauth === undefined) return () => false;
  const gate = createGate(deps);
  return (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    const found = oauthPath(path);
    if (found === undefined) return false;
    const id = requestIdOf(request);
    for (const [name, value] of Object.entries({ 'x-request-id': id, ...gate.headers(request) })) {
      response.setHeader(name, value);
    }
    const answer = new Answer(response, found, oauth.pages.error);
    const refusal = gate.refusal(request, { anyOrigin: found.open });
    if (refusal !== undefined) answer.error(refusal.status, refusal.error.message);
    else if (request.method === 'OPTIONS') preflight(request, response, found);
    else if (!allowed(request, found))
      answer.error(405, `This address takes ${found.methods.join(' and ')}`, { allow: found.methods.join(', ') });
    else void take(deps, { request, response, answer, path, id });
    return true;
  };
}

interface Taking {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly answer: Answer;
  readonly path: string;
  readonly id: string;
}

/** Never rejects. */
async function take({ oauth, rateLimiter, logger }: DoorDependencies, taking: Taking): Promise<void> {
  const { request, response, answer, path, id } = taking;
  try {
    const group = path.startsWith('/.well-known/') ? 'oauth_public' : 'oauth_auth';
    const counted = await rateLimiter?.count(group, { request });
    for (const [name, value] of Object.entries(counted?.headers ?? {})) response.setHeader(name, value);
    if (counted?.error !== undefined) return answer.error(429, counted.error.message);
    const twice = repeated(request);
    if (twice !== undefined) return answer.error(400, `The request has more than one header ${twice}`);
    if (Number(request.headers['content-length'] ?? 0) > bodyLimitBytes) {
      answer.error(413, 'The request is too large');
      return cutLater(request);
    }
    if (group === 'oauth_public') response.setHeader('cache-control', kept);
    response.once('finish', () => cutLater(request));
    await oauth?.handle(request, response);
  } catch (thrown) {
    const { error, status } = toAnswer(thrown);
    logger.error({ err: thrown, code: error.code, path, reqId: id }, error.message);
    if (response.headersSent) response.destroy();
    else answer.failure(error, status);
  }
}

/** What is still on its way when the answer is out is thrown away for a moment: at once, the answer would be lost with it. */
function cutLater(request: IncomingMessage): void {
  if (request.complete) return;
  request.resume();
  setTimeout(() => request.complete || request.destroy(), cutAfterMs).unref();
}

/** What the door itself answers: a page to a person's browser, JSON to programs. */
class Answer {
  readonly #response: ServerResponse;
  readonly #path: OAuthPath;
  readonly #page: OAuthPages['error'];

  constructor(response: ServerResponse, path: OAuthPath, page: OAuthPages['error']) {
    this.#response = response;
    this.#path = path;
    this.#page = page;
  }

  error(status: number, description: string, headers: Readonly<Record<string, string>> = {}): void {
    const error = errorCodes[status] ?? (status >= 500 ? 'server_error' : 'invalid_request');
    if (!this.#path.open) {
      const page = this.#page({ status, error, description });
      this.#response.writeHead(page.status, { ...page.headers, ...headers }).end(page.body);
      return;
    }
    const body = JSON.stringify({
      error,
      error_description: description.replace(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, ''),
    });
    const type = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
    this.#response.writeHead(status, { ...type, ...headers }).end(body);
  }

  failure(error: AppError, status: number): void {
    this.error(status, status < 500 ? error.message : 'It cannot be answered at the moment', { 'retry-after': '5' });
  }
}

/** Answers a browser that asks whether a page of another site may send a request (Fetch standard, CORS-preflight fetch). */
function preflight(request: IncomingMessage, response: ServerResponse, path: OAuthPath): void {
  const { origin } = request.headers;
  const named = path.open && origin !== undefined && origin !== 'null';
  const allow = path.methods.join(', ');
  const cors = {
    ...preflightHeaders,
    'access-control-allow-origin': origin ?? '',
    'access-control-allow-methods': allow,
  };
  response.writeHead(204, { allow: `${allow}, OPTIONS`, ...(named ? cors : {}) }).end();
}

function allowed({ method = '' }: IncomingMessage, { methods }: OAuthPath): boolean {
  return (methods as readonly string[]).includes(method === 'HEAD' ? 'GET' : method);
}

/** The name of a header that came twice and must not. */
function repeated({ rawHeaders }: IncomingMessage): string | undefined {
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (!single.has(name)) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}
