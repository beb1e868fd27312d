import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Claims, ProtectedResource } from '../../domain/auth/index.ts';
import type { McpServerConfig, SessionTransport } from '../../domain/mcp/index.ts';
import type { RateLimitedError } from '../../shared/errors.ts';
import type { ClientHello } from './client-hello.ts';
import type { Session } from './session-table.ts';

/** Which of a server's addresses: Streamable HTTP, or the two of clients that speak HTTP with SSE (MCP 2024-11-05). */
export type McpWay = 'mcp' | 'sse' | 'messages';

/** One configured server, as requests reach it. */
export interface Route {
  readonly config: McpServerConfig;
  readonly resource: ProtectedResource;
}

/** One request whose caller is known. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly route: Route;
  readonly claims: Claims;
  /** What every answer gets. */
  readonly headers: Readonly<Record<string, string>>;
  /** Why the request is one too many, if it is: an attempt at a call is recorded before it is refused. */
  readonly tooMany?: RateLimitedError | undefined;
  /** What the client said of itself, when the request begins a session. */
  readonly hello?: ClientHello | undefined;
  /** The virtual server that the client spoke to, and what the tool is called where it is: of a call that goes on to a target. */
  readonly via?: { readonly server: string; readonly tool: string } | undefined;
  /** The client's session with that virtual server. */
  readonly virtualSession?: Session | undefined;
  /** The session at the server that an answer is for, where its client shows another one; empty for none. */
  readonly inSession?: string | undefined;
  /** By which way the client speaks; Streamable HTTP unless told. */
  readonly transport?: SessionTransport | undefined;
  /** Looks again whether the caller may still listen, while a stream lasts. @throws what speaks against it */
  readonly stillAllowed?: (() => Promise<unknown>) | undefined;
  /** By `performance.now()`. */
  readonly arrivedAt: number;
}
