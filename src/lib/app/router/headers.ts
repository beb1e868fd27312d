import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Claims } from '../../domain/auth/index.ts';
import { traceIdOf } from '../../infra/logging/call-facts.ts';
import { identityHeaderName, signIdentity } from '../../infra/security/identity-header.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import { traceparentOfCall } from '../../shared/trace-context.ts';
import { credentialsHeaderName } from '../bridge/credentials.ts';
import type { LookOver } from '../executor/call.ts';
import { tokenHeaderName } from './delegation.ts';
import type { Session } from './sessions.ts';
import { unknownSession } from './unknown-session.ts';
import type { Upstream } from './upstreams.ts';

/** The session of a request or an answer (MCP 2025-11-25, Streamable HTTP). */
export const sessionHeader = 'mcp-session-id';
/** What a client has seen last of a stream (HTML Living Standard, 9.2.4). */
export const lastEventHeader = 'last-event-id';
const identitySeconds = 60;

export interface OnBehalf {
  readonly claims: Claims;
  /** The session that the client shows. */
  readonly session: Session | undefined;
  /** What the tool is called at the server, where the client calls it otherwise. */
  readonly tool?: string | undefined;
  /** A token of the caller, for a server that may act for them. */
  readonly token: string | undefined;
  /** Gives questions of the server ids that find back to it, where its client speaks to several. */
  readonly naming?: LookOver | undefined;
  /** What the server behind wants beside, for the header `x-systemprompt-upstream`. */
  readonly credentials?: string | undefined;
}

/**
 * The headers of a request to a server, names and values in turn. A list of what goes along, not of what is left out:
 * nothing that authenticates the client here (Authorization, cookies) or belongs to its connection gets through.
 * Last-Event-ID is added where a stream is taken up again.
 */
export function upstreamHeaders(req: IncomingMessage, upstream: Upstream, on: OnBehalf, exec?: ExecutionId): string[] {
  const { claims, session } = on;
  // The run that has it in its memory ended between the look at it and now.
  if (session !== undefined && session.instanceId !== upstream.instanceId) throw unknownSession();
  const iat = Math.floor(Date.now() / 1_000);
  const identity = {
    aud: upstream.instanceId,
    sub: claims.sub,
    name: claims.name,
    sid: claims.sid,
    scopes: claims.scopes,
    iat,
    exp: iat + identitySeconds,
  };
  const headers = [
    'accept',
    req.method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
    identityHeaderName,
    signIdentity(upstream.identityKey, exec === undefined ? identity : { ...identity, exec }),
  ];
  if (req.method === 'POST') headers.push('content-type', 'application/json');
  if (on.token !== undefined) headers.push(tokenHeaderName, on.token);
  if (on.credentials !== undefined) headers.push(credentialsHeaderName, on.credentials);
  if (session !== undefined) headers.push(sessionHeader, session.upstreamId);
  headers.push(...traceHeaders(req, exec));
  for (const name in req.headers) {
    // Mcp-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Param-*.
    if (!name.startsWith('mcp-') || name === sessionHeader) continue;
    const value = req.headers[name];
    if (typeof value !== 'string') continue;
    headers.push(name, name === 'mcp-name' && on.tool !== undefined ? mirrored(on.tool) : value);
  }
  return headers;
}

/** The client's trace as it came; a call without one is given one, so that what is logged of it is found by that. */
function traceHeaders(req: IncomingMessage, exec: ExecutionId | undefined): string[] {
  const { traceparent, tracestate } = req.headers;
  if (typeof traceparent !== 'string' || traceIdOf(traceparent) === undefined) {
    return exec === undefined ? [] : ['traceparent', traceparentOfCall(exec)];
  }
  return ['traceparent', traceparent, ...(typeof tracestate === 'string' ? ['tracestate', tracestate] : [])];
}

/** As a header may hold it (MCP 2026-07-28, SEP-2243). */
function mirrored(value: string): string {
  return /^[\x21-\x7e]+$/.test(value) && !value.startsWith('=?')
    ? value
    : `=?base64?${Buffer.from(value).toString('base64')}?=`;
}

/** The headers that the client gets beside the answer's type: ours, and those of the server's that are for it. */
export function downstreamHeaders(
  ours: Readonly<Record<string, string>>,
  headers: IncomingHttpHeaders,
  bindSession: (sessionId: string) => string | undefined,
): Record<string, string> {
  const result: Record<string, string> = { ...ours };
  for (const name in headers) {
    const goes = name.startsWith('mcp-') || name === 'allow' || name === 'retry-after';
    const value = headers[name];
    if (!goes || typeof value !== 'string') continue;
    const given = name === sessionHeader ? bindSession(value) : value;
    if (given !== undefined) result[name] = given;
  }
  return result;
}

export function sessionOf(req: IncomingMessage): string | undefined {
  const value = req.headers[sessionHeader];
  return typeof value === 'string' ? value : undefined;
}

/** The media type of a message, without parameters. */
export function mediaType(headers: IncomingHttpHeaders): string {
  const value = headers['content-type'];
  if (typeof value !== 'string') return '';
  const end = value.indexOf(';');
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase();
}
