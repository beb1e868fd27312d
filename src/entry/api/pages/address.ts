import type { FastifyInstance } from 'fastify';
import { goTo } from './session.ts';

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);

/**
 * Has pages opened under one address alone: cookies and passkeys are bound to its name. Who comes by another name of the
 * instance (127.0.0.1 for localhost) is sent there. What a proxy calls us that passes no Host on is left as it is.
 */
export function onlyAtPublishedAddress(
  app: FastifyInstance,
  { externalUrl, otherAddresses }: { readonly externalUrl: string; readonly otherAddresses: readonly string[] },
): void {
  const published = new URL(externalUrl);
  const others = new Set(otherAddresses.map((address) => new URL(address).host));
  app.addHook('onRequest', async (request, reply) => {
    const host = request.headers.host?.toLowerCase() ?? '';
    const name = host.replace(/:\d+$/, '');
    if (name === published.hostname || request.method !== 'GET') return;
    if (!others.has(host) && !(loopback.has(name) && loopback.has(published.hostname))) return;
    return goTo(reply, `${published.origin}${request.url}`);
  });
}
