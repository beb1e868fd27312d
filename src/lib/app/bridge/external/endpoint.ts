import type { IncomingHttpHeaders } from 'node:http';
import type { Agent, Dispatcher } from 'undici';
import { createGuardedAgent, FetchRefusedError } from '../../../infra/http/guarded-fetch.ts';
import type { Asker, UpstreamCredentials } from '../backend.ts';

/** An address of a server that runs elsewhere, and the connections to it. */
export interface Endpoint {
  readonly url: URL;
  send(request: EndpointRequest, handler: Dispatcher.DispatchHandler): void;
  /** Cuts all connections. */
  close(): Promise<void>;
}

export interface EndpointRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | null;
  /** Another address of the same origin; the endpoint unless told. */
  readonly url?: URL;
}

/** Headers that a connection or a message has of its own: whatever is configured, they are not replaced. */
const reserved: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'upgrade',
  'te',
]);

/**
 * @param privateNetwork whether http and addresses that are not public are let through
 * @throws FetchRefusedError for an address that is never connected to
 */
export function openEndpoint(address: string, privateNetwork: boolean): Endpoint {
  const url = new URL(address);
  const agent: Agent = createGuardedAgent(url, privateNetwork);
  return {
    url,
    send: ({ method, headers, body = null, url: to = url }, handler) => {
      // Credentials belong to the origin that they were configured for.
      if (to.origin !== url.origin) throw new FetchRefusedError('The server leads to another origin');
      const path = `${to.pathname}${to.search}`;
      agent.dispatch({ origin: to.origin, path, method, headers, body }, handler);
    },
    close: () => agent.destroy(),
  };
}

/** What every request to a server elsewhere has, with the credentials of who asks. */
export function endpointHeaders(
  credentials: UpstreamCredentials | undefined,
  more: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const headers: Record<string, string> = { 'user-agent': 'systemprompt' };
  for (const [name, value] of Object.entries(more)) if (value !== undefined) headers[name] = value;
  for (const [name, value] of Object.entries(credentials?.headers ?? {})) {
    const lower = name.toLowerCase();
    if (!reserved.has(lower) && !lower.startsWith('mcp-')) headers[lower] = value;
  }
  return headers;
}

/** Of a client's headers those that go along to a server of the same era. */
export function passedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const passed: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const goes = name.startsWith('mcp-') || isTrace(name) || name === 'last-event-id' || name === 'accept';
    if (goes && typeof value === 'string') passed[name] = value;
  }
  return passed;
}

/** W3C trace context of a request. */
export function traceHeaders({ headers }: Pick<Asker, 'headers'>): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ['traceparent', 'tracestate']) {
    const value = headers[name];
    if (typeof value === 'string') found[name] = value;
  }
  return found;
}

function isTrace(name: string): boolean {
  return name === 'traceparent' || name === 'tracestate';
}
