import { type AppError, ForbiddenError, UsageError } from '../../shared/errors.ts';
import { missingScopes } from '../../shared/permission.ts';
import { type Claims, refuse } from './claims.ts';
import type { TokenVerifier } from './verifier.ts';

/** What a token must be for, and what a caller without one is told (MCP authorization specification 2025-11-25). */
export interface ProtectedResource {
  /** The resource's own URI: the only audience that it accepts. */
  readonly audience: string;
  /** Where its RFC 9728 document is. */
  readonly metadataUrl: string;
  /** The ordinary scopes, so that one sign-in is enough for ordinary work. */
  readonly scopes: readonly string[];
}

/** The parts of a request that are read; a node:http request has them. */
export interface BearerRequest {
  /** Names and values in turn, as they came: node's `headers` would hide a second Authorization. */
  readonly rawHeaders: readonly string[];
  readonly url?: string | undefined;
}

/** Status and WWW-Authenticate value of a refusal. */
export interface Challenge {
  readonly status: 400 | 401 | 403;
  readonly header: string;
}

/** RFC 6750 section 2.1: one or more spaces, then b64token. */
const credentials = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;
const bearerScheme = /^bearer(?:[\s,]|$)/i;
const queryToken = /[?&]access_token=/i;

/**
 * The bearer token of a request: from the Authorization header alone, and exactly one.
 * @throws UnauthenticatedError `missing` or `malformed`; UsageError when it comes twice or in the query (RFC 6750
 * section 3.1, invalid_request)
 */
export function readBearer(request: BearerRequest): string {
  if (queryToken.test(request.url ?? '')) {
    throw invalidRequest('An access token belongs in the Authorization header, never in the address');
  }
  let value: string | undefined;
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    if (request.rawHeaders[at]?.toLowerCase() !== 'authorization') continue;
    if (value !== undefined) throw invalidRequest('The request has more than one Authorization header');
    value = request.rawHeaders[at + 1]?.trim() ?? '';
  }
  if (value === undefined || !bearerScheme.test(value)) throw refuse('missing');
  const token = credentials.exec(value)?.[1];
  if (token === undefined) throw refuse('malformed');
  return token;
}

/**
 * Who sent a request. There is no anonymous caller: it is the claims or an error.
 * @throws what `readBearer` and `TokenVerifier.verify` throw; `challengeFor` turns it into the answer
 */
export async function authenticate(
  verifier: Pick<TokenVerifier, 'verify'>,
  request: BearerRequest,
  audience: string,
): Promise<Claims> {
  return verifier.verify(readBearer(request), audience);
}

/** The error for a caller who is known but lacks scopes. */
export function insufficientScope(held: readonly string[], required: readonly string[]): ForbiddenError {
  const missing = missingScopes(held, required);
  return new ForbiddenError(`This needs the scope ${missing.join(' ')}`, {
    hint: 'Sign in again and ask for it, or ask somebody who may.',
    data: { reason: 'insufficient_scope', held, required, missing },
  });
}

/**
 * Status and challenge for a refusal at a protected resource (RFC 6750 section 3, RFC 9728 section 5.1); undefined for
 * errors that are none. A 403 asks for the held scopes and the needed ones, since clients replace the old by the new.
 */
export function challengeFor(error: AppError, resource: ProtectedResource): Challenge | undefined {
  const { reason } = error.data;
  if (error.code === 'UNAUTHENTICATED') {
    const code = reason === 'missing' ? undefined : 'invalid_token';
    return { status: 401, header: challenge(resource, resource.scopes, code, error.message) };
  }
  if (error.code === 'FORBIDDEN' && reason === 'insufficient_scope') {
    const scopes = [...stringsOf(error.data.held), ...stringsOf(error.data.required)];
    return { status: 403, header: challenge(resource, scopes, 'insufficient_scope', error.message) };
  }
  if (error.code === 'USAGE' && reason === 'invalid_request') {
    return { status: 400, header: challenge(resource, resource.scopes, 'invalid_request', error.message) };
  }
  return undefined;
}

function challenge(
  resource: ProtectedResource,
  scopes: readonly string[],
  code: string | undefined,
  text: string,
): string {
  const params = [];
  if (code !== undefined) params.push(`error="${code}"`, `error_description="${quotable(text)}"`);
  params.push(`resource_metadata="${quotable(resource.metadataUrl)}"`);
  if (scopes.length > 0) params.push(`scope="${quotable([...new Set(scopes)].join(' '))}"`);
  return `Bearer ${params.join(', ')}`;
}

/** What may stand in error_description: printable ASCII without quote and backslash (RFC 6750 section 3). */
function quotable(text: string): string {
  return text.replace(/[^\x20\x21\x23-\x5B\x5D-\x7E]/g, '');
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function invalidRequest(message: string): UsageError {
  return new UsageError(message, { data: { reason: 'invalid_request' } });
}
