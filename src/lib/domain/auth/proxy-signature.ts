import { createHmac, hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { UnauthenticatedError } from '../../shared/errors.ts';
import { refuse } from './claims.ts';

// HTTP Message Signatures (RFC 9421), in the one form that is taken here: HMAC-SHA256 (section 3.3.3) over a fixed list of
// components, so that there is nothing to negotiate and nothing that a sender could leave out.

/** The headers in which a proxy says who calls. */
const proxyHeaders = ['x-proxy-verified', 'x-user-id', 'x-user-permissions'] as const;

/** The label of the signature in `Signature-Input` and `Signature`. */
const label = 'proxy';
const components = ['@method', '@authority', '@path', '@query', ...proxyHeaders] as const;
/** Where the request has a body (RFC 9530). */
const withBody = [...components, 'content-digest'] as const;

/** What a proxy vouches for, its signature checked. */
export interface ProxyStatement {
  readonly proxyId: string;
  readonly userId: string;
  readonly permissions: readonly string[];
  /** Used once; unique to the proxy. */
  readonly nonce: string;
  /** When it stops to count, in ms since the epoch: a nonce must be remembered until then. */
  readonly until: number;
  /** `sha-256` of the body, base64; undefined for a request without one. */
  readonly bodyDigest: string | undefined;
}

export interface ProxyKey {
  readonly id: string;
  readonly key: KeyObject;
  /** How old a signature may be, in seconds. */
  readonly maxAgeSeconds: number;
}

export interface SignedRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  /** Names and values in turn, as they came: a repeated header is seen. */
  readonly rawHeaders: readonly string[];
}

const clockSkewSeconds = 5;
const statement = z.object({
  verified: z.literal('true'),
  userId: z.uuid(),
  permissions: z
    .string()
    .max(4000)
    .regex(/^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$/),
});
const inputForm = new RegExp(
  `^${label}=(\\(([^()]*)\\);created=(\\d{1,12});expires=(\\d{1,12});nonce="([A-Za-z0-9_-]{16,64})";keyid="([A-Za-z0-9._-]{1,64})";alg="hmac-sha256")$`,
);
const signatureForm = new RegExp(`^${label}=:([A-Za-z0-9+/]{43}=):$`);
const digestForm = /^sha-256=:([A-Za-z0-9+/]{43}=):$/;

/** Whether a request claims to come through a proxy that knows the caller. */
export function isProxied({ rawHeaders }: SignedRequest): boolean {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if ((proxyHeaders as readonly string[]).includes(rawHeaders[at]?.toLowerCase() ?? '')) return true;
  }
  return false;
}

/**
 * What a proxy says of a request, its signature, age and form checked. Nothing else of the request is believed.
 * @param now seconds since the epoch
 * @throws UnauthenticatedError `proxy` for whatever does not hold
 */
export function verifyProxied(
  request: SignedRequest,
  keys: ReadonlyMap<string, ProxyKey>,
  now: number = Date.now() / 1000,
): ProxyStatement {
  const headers = singleHeaders(request.rawHeaders);
  const input = inputForm.exec(headers.get('signature-input') ?? '');
  const signature = signatureForm.exec(headers.get('signature') ?? '')?.[1];
  if (input === null || signature === undefined) throw refuseProxied();
  const [, params = '', named = '', created = '', expires = '', nonce = '', keyId = ''] = input;
  const proxy = keys.get(keyId);
  if (proxy === undefined) throw refuseProxied();
  const hasBody = headers.has('content-digest') || headers.has('content-length') || headers.has('transfer-encoding');
  const covered: readonly string[] = hasBody ? withBody : components;
  if (named !== covered.map((name) => `"${name}"`).join(' ')) throw refuseProxied();
  const base = `${covered.map((name) => `"${name}": ${componentOf(name, request, headers)}`).join('\n')}\n"@signature-params": ${params}`;
  const want = createHmac('sha256', proxy.key).update(base, 'utf8').digest();
  const have = Buffer.from(signature, 'base64');
  if (have.length !== want.length || !timingSafeEqual(have, want)) throw refuseProxied();
  const [from, until] = [Number(created), Number(expires)];
  const tooLong = until - from > proxy.maxAgeSeconds || until <= from;
  if (tooLong || from > now + clockSkewSeconds || until <= now) throw refuseProxied();
  const said = statement.safeParse({
    verified: headers.get('x-proxy-verified'),
    userId: headers.get('x-user-id'),
    permissions: headers.get('x-user-permissions'),
  });
  const bodyDigest = hasBody ? digestForm.exec(headers.get('content-digest') ?? '')?.[1] : undefined;
  if (!said.success || (hasBody && bodyDigest === undefined)) throw refuseProxied();
  const { userId, permissions } = said.data;
  return { proxyId: proxy.id, userId, permissions: permissions.split(' '), nonce, until: until * 1000, bodyDigest };
}

/** Whether a body is the one that was signed. */
export function isSignedBody(body: Buffer, bodyDigest: string | undefined): boolean {
  return bodyDigest === undefined ? body.length === 0 : hash('sha256', body, 'base64') === bodyDigest;
}

/** All that is wrong is told alike: who forges learns nothing, who configures finds the form in the documentation. */
export function refuseProxied(reason: 'proxy' | 'unbound' = 'proxy'): UnauthenticatedError {
  return refuse(reason);
}

/** Headers by lower-case name. Of those that count here none may come twice. */
function singleHeaders(rawHeaders: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (found.has(name) && single.has(name)) throw refuseProxied();
    found.set(name, rawHeaders[at + 1]?.trim() ?? '');
  }
  return found;
}

const single = new Set<string>([
  ...proxyHeaders,
  'host',
  'content-digest',
  'content-length',
  'signature',
  'signature-input',
]);

/** The value of a component (RFC 9421 section 2). */
function componentOf(
  name: string,
  { method = '', url = '' }: SignedRequest,
  headers: ReadonlyMap<string, string>,
): string {
  const query = url.indexOf('?');
  if (name === '@method') return method;
  if (name === '@authority') return (headers.get('host') ?? '').toLowerCase();
  if (name === '@path') return query === -1 ? url : url.slice(0, query);
  if (name === '@query') return query === -1 ? '?' : url.slice(query);
  return headers.get(name) ?? '';
}
