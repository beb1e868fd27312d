import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv6 } from 'node:net';

/** From where a request came: the address of its connection, or what a trusted proxy says of it. */
export type AddressOf = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => string | undefined;

/**
 * Addresses of requests. `X-Forwarded-For` is read from its end, where the nearest proxy has written, and no further
 * than trusted proxies reach: what stands before that anybody could have sent.
 *
 * @param trustedProxies addresses and networks (`10.0.0.0/8`)
 */
export function addressReader(trustedProxies: readonly string[]): AddressOf {
  if (trustedProxies.length === 0) return (request) => request.socket.remoteAddress;
  const trusted = new BlockList();
  for (const entry of trustedProxies) {
    const [address = '', prefix] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(prefix), family);
  }
  const isTrusted = (address: string): boolean => trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  return ({ headers, socket }) => {
    let address = plain(socket.remoteAddress ?? '');
    const said = String(headers['x-forwarded-for'] ?? '').split(',');
    while (isIP(address) !== 0 && isTrusted(address)) {
      const before = plain(said.pop()?.trim() ?? '');
      if (isIP(before) === 0) break;
      address = before;
    }
    return address === '' ? undefined : address;
  };
}

/** An IPv4 address that a socket for both families shows as one of IPv6, as itself. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/** Who an address stands for: of IPv6 its network, since whoever has one address there has 2^64 of them (RFC 6177). */
export function networkOf(given: string | undefined): string {
  if (given === undefined) return 'unknown';
  const address = plain(given);
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}
