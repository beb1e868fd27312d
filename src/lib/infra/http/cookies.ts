import type { IncomingMessage } from 'node:http';

export interface CookieOptions {
  /** In seconds; without it the cookie ends with the browser. 0 removes it. */
  readonly maxAge?: number;
  readonly sameSite?: 'Lax' | 'Strict';
}

/**
 * The name under which a cookie travels: with `__Host-` where the instance is reached by https, so that no other host
 * and no page without TLS can set it (RFC 6265bis section 4.1.3.2); plain on loopback, where browsers would drop it.
 */
export function cookieName(name: string, issuer: string): string {
  return issuer.startsWith('https:') ? `__Host-${name}` : name;
}

/** The value of a cookie; none when it is not there or was sent twice, since one of the two is not ours. */
export function readCookie(request: Pick<IncomingMessage, 'headers'>, name: string): string | undefined {
  const values = (request.headers.cookie ?? '').split(';').flatMap((pair) => {
    const at = pair.indexOf('=');
    return at !== -1 && pair.slice(0, at).trim() === name ? [pair.slice(at + 1).trim()] : [];
  });
  return values.length === 1 ? values[0] : undefined;
}

/** A Set-Cookie header for the whole host that scripts can't read; Secure where the name says so. */
export function cookieHeader(name: string, value: string, options: CookieOptions = {}): string {
  const parts = [`${name}=${value}`, 'Path=/', 'HttpOnly', `SameSite=${options.sameSite ?? 'Lax'}`];
  if (name.startsWith('__Host-')) parts.push('Secure');
  if (options.maxAge !== undefined) parts.push(`Max-Age=${options.maxAge}`);
  return parts.join('; ');
}
