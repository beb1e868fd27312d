/** Where a browser is sent after a sign-in that nobody began from elsewhere. */
export const accountPath = '/auth/account';

/**
 * A path of our own pages to go on to, from what a request says; undefined when it is none. Only what a browser can't
 * take for another place: one slash, then `auth/`, and nothing that it would fold into something else.
 */
export function safeReturnTo(value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length > 2000) return undefined;
  if (!/^\/auth\/[\x21-\x7e]*$/.test(value) || value.includes('\\')) return undefined;
  const base = 'http://localhost';
  const { origin, pathname, search } = new URL(value, base);
  return origin === base && pathname.startsWith('/auth/') ? `${pathname}${search}` : undefined;
}
