import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger } from 'fastify';
import type { Interactions } from '../../lib/app/oauth/interactions.ts';
import type { OAuthPages } from '../../lib/app/oauth/pages.ts';
import type { Account } from '../../lib/app/people/account.ts';
import type { BrowserSessions } from '../../lib/app/people/browser-sessions.ts';
import type { People } from '../../lib/app/people/open.ts';
import type { RateLimiter } from '../../lib/app/rate-limits.ts';
import type { ResourceServers } from '../../lib/app/resources.ts';
import type { McpWay } from '../../lib/app/router/index.ts';
import type { RegistryServer } from '../../lib/app/router/registry-view.ts';
import type { ServiceEventFeed } from '../../lib/app/supervisor/event-feed.ts';
import type { TokenVerifier } from '../../lib/domain/auth/index.ts';
import type { SecurityHeaderSettings } from '../../lib/infra/config/profile-server.ts';
import type { Circuits } from '../../lib/infra/process/spec.ts';
import type { UserId } from '../../lib/shared/ids.ts';
import type { Telemetry } from './telemetry.ts';

/** How the API behaves towards browsers, from `server` and `security` of the profile. */
export interface WebSettings {
  /** Origins of other sites whose pages may call. */
  readonly corsAllowedOrigins: readonly string[];
  /** Addresses of the instance beside the external one. */
  readonly otherAddresses: readonly string[];
  readonly securityHeaders: SecurityHeaderSettings;
}

/** The one way to an MCP server; it answers by itself, refusals and failures included. */
export interface McpHandler {
  handle(
    request: IncomingMessage,
    response: ServerResponse,
    server: string,
    headers?: Readonly<Record<string, string>>,
    way?: McpWay,
  ): Promise<void>;
}

/** The authorization server. */
export interface OAuthHandler {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  readonly interactions: Interactions;
  readonly browser: BrowserSessions;
  readonly pages: Pick<OAuthPages, 'error'>;
}

/** Everything that the HTTP server stands on. */
export interface ApiDependencies {
  readonly instanceId: string;
  readonly version: string;
  readonly externalUrl: string;
  readonly issuer: string;
  readonly web: WebSettings;
  /** Absent when requests are not counted. What goes to MCP servers the router counts itself. */
  readonly rateLimiter: RateLimiter | undefined;
  /** Absent where nothing is measured. */
  readonly telemetry: Pick<Telemetry, 'scrape' | 'meter'> | undefined;
  readonly logger: FastifyBaseLogger;
  readonly verifier: Pick<TokenVerifier, 'verify' | 'jwks'>;
  /** What accepts tokens: the instance and the MCP servers that are configured and enabled. */
  readonly resources: ResourceServers;
  /** The MCP servers; for a reader who is known how they are doing too. */
  /** The MCP servers whose circuit breaker is not closed in this process. */
  readonly circuits: () => Circuits;
  readonly registry: (reader: UserId | undefined) => RegistryServer[] | Promise<RegistryServer[]>;
  readonly mcp: McpHandler;
  /** Absent where nobody signs in. */
  readonly oauth: OAuthHandler | undefined;
  /** Absent where nobody signs in with a browser. */
  readonly people?: People | undefined;
  /** Absent where there is no page for it. */
  readonly account?: Account | undefined;
  readonly serviceEvents: Pick<ServiceEventFeed, 'position' | 'follow'>;
  /** What must hold before requests are taken, by name: each throws when it does not. */
  readonly readiness: Readonly<Record<string, () => void | Promise<void>>>;
  /** Whether the process is on its way out. */
  readonly draining: () => boolean;
}
