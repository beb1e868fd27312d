import { type AppError, ForbiddenError, UsageError } from '../../shared/errors.ts';
import { missingScopes } from '../../shared/permission.ts';
import { type Claims, refuse } from './claims.ts';
import { proofAlgorithms, type ShownProof } from './dpop.ts';
import type { TokenVerifier } from './verifier.ts';

/** What a token must be for, and what a caller without one is told (MCP authorization specification 2025-11-25). */
export interface ProtectedResource {
  /** The resource's own URI: the only audience that it accepts. */
  readonly audience: string;
  /** Where its RFC 9728 document is. */
  readonly metadataUrl: string;
  /** The ordinary scopes, so that one sign-in is enough for ordinary work. */
  readonly scopes: readonly string[];
  /** Whether it takes only tokens that are bound to a key (RFC 9449). */
  readonly requireDpop?: boolean;
}

/** The parts of a request that are read; a node:http request has them. */
export interface BearerRequest {
  /** Names and values in turn, as they came: node's `headers` would hide a second Authorization. */
  readonly rawHeaders: readonly string[];
  readonly url?: string | undefined;
  readonly method?: string | undefined;
}

/** Status and WWW-Authenticate value of a refusal. */
export interface Challenge {
  readonly status: 400 | 401 | 403;
  readonly header: string;
}

/** RFC 6750 section 2.1, RFC 9449 section 7.1: one or more spaces, then b64token. */
const credentials = /^(bearer|dpop) +([A-Za-z0-9\-._~+/]+=*)$/i;
const knownScheme = /^(?:bearer|dpop)(?:[\s,]|$)/i;
const queryToken = /[?&]access_token=/i;

/** The credentials of a request. */
export interface Credentials {
  readonly token: string;
  /** What came with a token that was shown by the scheme DPoP. */
  readonly shown?: ShownProof;
}

/**
 * The access token of a request: from the Authorization header alone, and exactly one.
 * @throws UnauthenticatedError `missing`, `malformed` or `proof`; UsageError when it comes twice or in the query (RFC
 * 6750 section 3.1, invalid_request)
 */
export function readCredentials(request: BearerRequest): Credentials {
  const { url = '' } = request;
  if (queryToken.test(url)) {
    throw invalidRequest('An access token belongs in the Authorization header, never in the address');
  }
  const value = onlyHeader(request, 'authorization', () =>
    invalidRequest('The request has more than one Authorization header'),
  )?.trim();
  if (value === undefined || !knownScheme.test(value)) throw refuse('missing');
  const [, scheme = '', token] = credentials.exec(value) ?? [];
  if (token === undefined) throw refuse('malformed');
  if (scheme.length === 6) return { token };
  const proof = onlyHeader(request, 'dpop', () => refuse('proof'));
  if (proof === undefined || request.method === undefined) throw refuse('proof');
  const query = url.indexOf('?');
  return { token, shown: { proof, method: request.method, path: query === -1 ? url : url.slice(0, query) } };
}

/** The value of a header that may be there once. @throws what `twice` makes when it is there more often */
function onlyHeader({ rawHeaders }: BearerRequest, name: string, twice: () => Error): string | undefined {
  let value: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const header = rawHeaders[at];
    if (header?.length !== name.length || header.toLowerCase() !== name) continue;
    if (value !== undefined) throw twice();
    value = rawHeaders[at + 1] ?? '';
  }
  return value;
}

/**
 * Who sent a request. There is no anonymous caller: it is the claims or an error.
 * @throws what `readCredentials` and `TokenVerifier.verify` throw; `challengeFor` turns it into the answer
 */
export async function authenticate(
  verifier: Pick<TokenVerifier, 'verify'>,
  request: BearerRequest,
  audience: string,
): Promise<Claims> {
  const { token, shown } = readCredentials(request);
  return shown === undefined ? verifier.verify(token, audience) : verifier.verify(token, audience, shown);
}

/** The error for a caller who is known but lacks scopes. */
export function insufficientScope(held: readonly string[], required: readonly string[]): ForbiddenError {
  const missing = missingScopes(held, required);
  return new ForbiddenError(`This needs the scope ${missing.join(' ')}`, {
    hint: 'Sign in again and ask for it, or ask somebody who may.',
    data: { reason: 'insufficient_scope', held, required, missing },
  });
}

/** Refusals that are about the binding of a token: the answer says how it is shown. */
const bindingReasons: ReadonlySet<unknown> = new Set(['bound', 'unbound', 'proof', 'replayed']);
const proofReasons: ReadonlySet<unknown> = new Set(['proof', 'replayed']);

/**
 * Status and challenge for a refusal at a protected resource (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section
 * 5.1); undefined for errors that are none. A 403 asks for the held scopes and the needed ones, since clients replace
 * the old by the new.
 */
export function challengeFor(error: AppError, resource: ProtectedResource): Challenge | undefined {
  const { reason } = error.data;
  const scheme = resource.requireDpop || bindingReasons.has(reason) ? 'DPoP' : 'Bearer';
  const to = { resource, scheme, text: error.message } as const;
  if (error.code === 'UNAUTHENTICATED') {
    const code = proofReasons.has(reason) ? 'invalid_dpop_proof' : 'invalid_token';
    return { status: 401, header: challenge(to, resource.scopes, reason === 'missing' ? undefined : code) };
  }
  if (error.code === 'FORBIDDEN' && reason === 'insufficient_scope') {
    const scopes = [...stringsOf(error.data.held), ...stringsOf(error.data.required)];
    return { status: 403, header: challenge(to, scopes, 'insufficient_scope') };
  }
  if (error.code === 'USAGE' && reason === 'invalid_request') {
    return { status: 400, header: challenge(to, resource.scopes, 'invalid_request') };
  }
  return undefined;
}

function challenge(
  to: { readonly resource: ProtectedResource; readonly scheme: 'Bearer' | 'DPoP'; readonly text: string },
  scopes: readonly string[],
  code: string | undefined,
): string {
  const params = [];
  if (code !== undefined) params.push(`error="${code}"`, `error_description="${quotable(to.text)}"`);
  params.push(`resource_metadata="${quotable(to.resource.metadataUrl)}"`);
  if (scopes.length > 0) params.push(`scope="${quotable([...new Set(scopes)].join(' '))}"`);
  if (to.scheme === 'DPoP') params.push(`algs="${proofAlgorithms.join(' ')}"`);
  return `${to.scheme} ${params.join(', ')}`;
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
