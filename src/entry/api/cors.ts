import type { IncomingMessage } from 'node:http';
import { mcpMethods } from './mcp-methods.ts';

/** What a page may read of an answer beside the headers that every page may (Fetch standard, "CORS-safelisted response-header name"). */
const exposed = [
  'Mcp-Session-Id',
  'WWW-Authenticate',
  'X-Request-Id',
  'X-Systemprompt-Execution-Id',
  'Retry-After',
  'RateLimit',
  'RateLimit-Policy',
].join(', ');
/** What a page may send; `mcp-*` beside it (Mcp-Protocol-Version, Mcp-Session-Id, Mcp-Param-…). */
const sendable = new Set([
  'authorization',
  'dpop',
  'content-type',
  'accept',
  'last-event-id',
  'x-request-id',
  'traceparent',
  'tracestate',
]);
/** How long a browser may remember the answer, in seconds. */
const remembered = '600';

type Headers = Readonly<Record<string, string>>;
const none: Headers = {};
const vary: Headers = { vary: 'Origin' };

/** What pages of other sites are told (Fetch standard, section 3.3); whether one may call at all the guard decides. */
export interface Cors {
  /** What every answer to the request carries. */
  headers(request: Pick<IncomingMessage, 'headers'>): Headers;
  /** The answer's headers (204) when the request is a browser's question ahead of the real one. */
  preflight(request: Pick<IncomingMessage, 'headers' | 'method'>): Headers | undefined;
}

/** @param origins those whose pages may call, each by name; tokens travel in a header, so cookies are never allowed */
export function createCors(origins: readonly string[]): Cors {
  const allowed = new Set(origins);
  // One site's answer must not be taken for another's by a cache between (RFC 9110 section 12.5.5).
  const otherwise = allowed.size === 0 ? none : vary;
  const headers: Cors['headers'] = (request) => {
    const { origin } = request.headers;
    if (origin === undefined || !allowed.has(origin)) return otherwise;
    return { 'access-control-allow-origin': origin, 'access-control-expose-headers': exposed, vary: 'Origin' };
  };
  return {
    headers,
    preflight(request) {
      const { origin, 'access-control-request-method': method } = request.headers;
      if (request.method !== 'OPTIONS' || method === undefined || origin === undefined || !allowed.has(origin)) {
        return undefined;
      }
      return {
        'access-control-allow-origin': origin,
        'access-control-allow-methods': mcpMethods.join(', '),
        'access-control-allow-headers': permitted(request.headers['access-control-request-headers']),
        'access-control-max-age': remembered,
        vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      };
    },
  };
}

/** Of the headers that are asked for, those that may be sent. `*` would not cover Authorization. */
function permitted(asked: string | string[] | undefined): string {
  const names = String(asked ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
  return names.filter((name) => sendable.has(name) || /^mcp-[a-z0-9-]{1,60}$/.test(name)).join(', ');
}
