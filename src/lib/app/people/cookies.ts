import { hash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** The part of a request that cookies are read from; node's and the framework's requests have it. */
export interface CookieRequest {
  readonly headers: Pick<IncomingHttpHeaders, 'cookie' | 'user-agent'>;
}

/** The part of an answer that cookies are written to: node's own (`reply.raw` of the framework's). */
export interface CookieResponse {
  appendHeader(name: string, value: string): unknown;
}

/** What the browser carries: 256 bits as base64url. */
const valueForm = /^[A-Za-z0-9_-]{43}$/;

/** One cookie of ours: its name, and how it is set. */
export interface Cookie {
  readonly name: string;
  /** Its value, when the request has exactly one of that name and in its form. */
  read(request: CookieRequest): string | undefined;
  write(response: CookieResponse, value: string): void;
  clear(response: CookieResponse): void;
}

/** Our cookies for one address. */
export interface Cookies {
  /** Who is signed in. */
  readonly session: Cookie;
  /** Which browser it is, so that what one began no other finishes. No sign of who is signed in. */
  readonly browser: Cookie;
}

const day = 86_400;

/**
 * The cookies of an instance that browsers reach at `externalUrl`. By https they are `__Host-` cookies: no other name
 * below the same domain can set them. By plain http, which browsers take for safe on localhost, their names are plain.
 * Cookies don't heed ports, so a port of its own stands in the name: two instances on one machine don't sign each other
 * out.
 */
export function cookiesFor(externalUrl: string, sessionSeconds: number): Cookies {
  const { protocol, port } = new URL(externalUrl);
  const secure = protocol === 'https:';
  const suffix = port === '' ? '' : `-${port}`;
  const named = (name: string, maxAgeSeconds: number): Cookie =>
    cookie(`${secure ? '__Host-' : ''}systemprompt-${name}${suffix}`, secure, maxAgeSeconds);
  return { session: named('session', sessionSeconds), browser: named('browser', day) };
}

function cookie(name: string, secure: boolean, maxAgeSeconds: number): Cookie {
  // Lax and not Strict: links in mails and the way back from another provider come from elsewhere.
  const attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  return {
    name,
    read: ({ headers }) => {
      const values = (headers.cookie ?? '').split(';').flatMap((pair) => {
        const [key, ...rest] = pair.split('=');
        return key?.trim() === name ? [rest.join('=').trim()] : [];
      });
      // Two of one name: somebody else has set one of them, and nobody can tell which.
      const [value] = values;
      return values.length === 1 && value !== undefined && valueForm.test(value) ? value : undefined;
    },
    write: (response, value) =>
      void response.appendHeader('set-cookie', `${name}=${value}; Max-Age=${maxAgeSeconds}; ${attributes}`),
    clear: (response) => void response.appendHeader('set-cookie', `${name}=; Max-Age=0; ${attributes}`),
  };
}

/** A fresh value that nobody guesses: 256 bits as base64url. */
export function randomValue(): string {
  return randomBytes(32).toString('base64url');
}

/** What is kept of such a value: enough to know it again, not to use it. A random value needs no salt. */
export function hashOf(value: string): Buffer {
  return hash('sha256', value, 'buffer');
}
