import { type AppError, ForbiddenError, UsageError } from '../../lib/shared/errors.ts';

/** What a request says of the place it was sent to and from. */
export interface RequestOrigin {
  readonly rawHeaders: readonly string[];
  /** The port that the connection came in on. */
  readonly localPort: number | undefined;
  /** Whether by https. */
  readonly encrypted: boolean;
}

export interface Refusal {
  readonly status: 400 | 403 | 421;
  readonly error: AppError;
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]'];

/**
 * Refuses requests that name another host or come from another site's page. A page whose name was pointed at this
 * machine (DNS rebinding) sends its own Host and Origin: both must be ours. Nothing published is made from them.
 *
 * @param addresses of this instance, the one that is published first
 * @param otherOrigins of pages that may call all the same
 */
export function createGuard(
  addresses: readonly [string, ...string[]],
  otherOrigins: readonly string[] = [],
): (request: RequestOrigin, options?: { readonly anyOrigin?: boolean }) => Refusal | undefined {
  const [externalUrl] = addresses;
  const hosts = new Set(addresses.flatMap(hostsOf));
  const known = new Set([...addresses.map((address) => new URL(address).origin), ...otherOrigins]);
  return ({ rawHeaders, localPort, encrypted }, { anyOrigin = false } = {}) => {
    const scheme = encrypted ? 'https://' : 'http://';
    const hostValues = valuesOf(rawHeaders, 'host');
    const ours = (name: string): boolean => loopbackNames.some((loopback) => name === `${loopback}:${localPort}`);
    const [named] = hostValues;
    if (hostValues.length !== 1 || named === undefined) {
      return { status: 400, error: new UsageError('A request names exactly one host') };
    }
    if (!hosts.has(named.toLowerCase()) && !ours(named.toLowerCase())) {
      return { status: 421, error: new UsageError('This host is not served here', { hint: `Use ${externalUrl}.` }) };
    }
    if (anyOrigin) return undefined;
    // What a form of ours says, since our pages tell browsers to name no referrer (Fetch standard, "append a request
    // Origin header"); no page can make a browser say that it is of the same origin.
    const nobody = valuesOf(rawHeaders, 'sec-fetch-site').join() === 'same-origin' ? 'null' : undefined;
    const fromHere = (from: string): boolean =>
      from === nobody || known.has(from) || (from.startsWith(scheme) && ours(from.slice(scheme.length)));
    if (valuesOf(rawHeaders, 'origin').every(fromHere)) return undefined;
    return {
      status: 403,
      error: new ForbiddenError('Pages of this origin may not call the API', { data: { reason: 'origin' } }),
    };
  };
}

/** A host as it may be named, with the port and, where that is the scheme's own, without. */
function hostsOf(address: string): string[] {
  const { host, protocol, hostname } = new URL(address);
  const port = protocol === 'https:' ? 443 : 80;
  return [host, `${hostname}:${host === hostname ? port : host.slice(hostname.length + 1)}`];
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) values.push(rawHeaders[at + 1] ?? '');
  }
  return values;
}
