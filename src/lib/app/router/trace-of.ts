import type { IncomingMessage } from 'node:http';
import { traceIdOf } from '../../infra/logging/call-facts.ts';
import type { RemoteSpan } from '../../shared/tracing.ts';

/** Longest `tracestate` that goes on, in characters (W3C Trace Context, 3.3.1.5, asks for 512 at least). */
const stateLimit = 512;

/** The trace of a request as its headers say; undefined when they name none, or what is none. */
export function headerTrace({ headers }: Pick<IncomingMessage, 'headers'>): RemoteSpan | undefined {
  return remoteSpan(headers['traceparent'], headers['tracestate']);
}

/** @returns undefined for what is no trace (W3C Trace Context, 3.2.2) */
export function remoteSpan(traceparent: unknown, tracestate: unknown): RemoteSpan | undefined {
  if (typeof traceparent !== 'string' || traceparent.length > stateLimit) return undefined;
  if (traceIdOf(traceparent) === undefined) return undefined;
  const state = typeof tracestate === 'string' && isState(tracestate) ? tracestate : undefined;
  return { traceparent, tracestate: state };
}

/** What may stand in a header, too: it came in a body, where anything may stand. */
function isState(text: string): boolean {
  return text.length <= stateLimit && /^[\x20-\x7e]*$/.test(text);
}

/** From here on the request is of this trace: its row, its lines and its server's headers name it. */
export function adoptTrace(
  { headers }: Pick<IncomingMessage, 'headers'>,
  { traceparent, tracestate }: RemoteSpan,
): void {
  headers['traceparent'] = traceparent;
  if (tracestate === undefined) delete headers['tracestate'];
  else headers['tracestate'] = tracestate;
}
