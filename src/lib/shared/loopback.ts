/**
 * Whether a host name of a URL means this machine alone (RFC 6761 section 6.3, RFC 8252 section 8.3).
 * @param hostname as `URL` has it: an IPv6 address in brackets
 */
export function isLoopback(hostname: string): boolean {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(hostname)) return hostname.startsWith('127.');
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]';
}
