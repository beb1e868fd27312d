import {
  type ForeignTrust,
  KeyService,
  SessionService,
  TokenIssuer,
  type TokenPolicy,
  TokenVerifier,
} from '../domain/auth/index.ts';
import { type McpServerConfig, mcpEndpointPath } from '../domain/mcp/index.ts';
import { UserService } from '../domain/users/index.ts';
import type { SecretStore } from '../infra/config/secrets.ts';
import type { Database } from '../infra/database/connection.ts';
import { NotFoundError, PreconditionError } from '../shared/errors.ts';
import { DatabaseEntitlements, type EntitledResource, type Entitlements } from './access/entitlements.ts';
import { PersonalTokenLookup } from './access/token-lookup.ts';
import { type AskingServer, askedOf } from './asking-servers.ts';
import type { SetupLink } from './people/setup-links.ts';

/** Where tokens are good, from the address under which clients reach the API. */
export interface Addresses {
  readonly externalUrl: string;
  readonly issuer: string;
}

/** The audience of the instance itself: the CLI's sign-in, and programs that act for a caller. */
export function instanceAudience(externalUrl: string): string {
  return `${externalUrl}/api/v1`;
}

/** The audience of one MCP server: its own address (RFC 8707 section 2). */
export function mcpAudience(externalUrl: string, server: string): string {
  return `${externalUrl}${mcpEndpointPath(server)}`;
}

/** Where the RFC 9728 document of a resource is: the well-known name goes before the path (section 3.1). */
export function resourceMetadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname}`;
}

/** Everything that knows who somebody is. */
export interface Identity {
  readonly addresses: Addresses;
  readonly users: UserService;
  readonly sessions: SessionService;
  readonly keys: KeyService;
  readonly issuer: TokenIssuer;
  readonly verifier: TokenVerifier;
  readonly entitlements: Entitlements;
  /** A link by which the local owner makes the first passkey; undefined once there is one. */
  ownerLink(): Promise<SetupLink | undefined>;
  close(): Promise<void>;
}

/**
 * Opens identity on a database in the application's role; the first call in an instance makes its signing keys.
 * @throws DatabaseUnavailableError: without keys and revocations nobody is let in
 */
export async function openIdentity(deps: {
  readonly database: Database;
  /** What accepts tokens, and what each demands of them; it may change meanwhile. */
  readonly resources: {
    all(): readonly TokenPolicy[];
    byAudience(audience: string): (TokenPolicy & EntitledResource) | undefined;
  };
  readonly secrets: Pick<SecretStore, 'seal' | 'open'>;
  /** Without it tokens of other issuers are refused. */
  readonly foreign?: ForeignTrust | undefined;
  readonly profile: {
    readonly server: { readonly external_url: string };
    readonly security: {
      readonly issuer: string;
      readonly access_token_ttl_seconds: number;
      readonly audiences?: readonly string[];
    };
  };
}): Promise<Identity> {
  const { database, profile, resources } = deps;
  const maxTtlSeconds = profile.security.access_token_ttl_seconds;
  const { issuer } = profile.security;
  const keys = new KeyService({ database, sealer: deps.secrets, maxTokenTtlSeconds: maxTtlSeconds });
  await keys.ensureKey();
  // Before the first signature: a key that is published ahead of its time surprises no verifier.
  for (const { audience, ownKey } of resources.all()) if (ownKey) await keys.ensureKey(audience);
  const entitlements = new DatabaseEntitlements(database);
  const verifier = await TokenVerifier.open({
    database,
    keys,
    issuer,
    maxTtlSeconds,
    addresses: [profile.server.external_url, ...(profile.security.audiences ?? [])],
    policies: resources,
    foreign: deps.foreign,
    personal: new PersonalTokenLookup({ database, resources, entitlements }),
  });
  const users = new UserService(database);
  return {
    addresses: { externalUrl: profile.server.external_url, issuer },
    users,
    sessions: new SessionService(database),
    keys,
    issuer: new TokenIssuer({ keys, issuer, maxTtlSeconds, policies: resources }),
    verifier,
    ownerLink: async () => {
      const { ownerLink } = await import('./people/setup-links.ts');
      return ownerLink(database, users, profile.server.external_url);
    },
    entitlements,
    close: () => verifier.close(),
  };
}

/** What a sign-in must know of an MCP server. */
export interface SignInServer {
  readonly name: string;
  /** Every scope that the server or one of its tools asks for. */
  readonly scopes: readonly string[];
  /** Of those, the ones that everybody has without a grant. */
  readonly openScopes?: readonly string[] | undefined;
  /** Who asks for which of them, where it is virtual. */
  readonly askedBy?: readonly AskingServer[] | undefined;
  /** Whether its tokens are signed with a key of its own. */
  readonly ownKey?: boolean | undefined;
  /** Whether it takes only tokens that are bound to a key of the client. */
  readonly requireDpop?: boolean | undefined;
}

/** What a sign-in is told of a configured server. @param servers all of the configuration */
export function signInServer(server: McpServerConfig, servers: readonly McpServerConfig[]): SignInServer {
  const { scopes, openScopes, requireDpop, servers: askedBy } = askedOf(server, servers);
  return {
    name: server.name,
    scopes,
    openScopes,
    askedBy: askedBy.length === 1 ? undefined : askedBy,
    ownKey: server.oauth.ownKey,
    requireDpop,
  };
}

/** The error for a token that its server would not take, since no key is bound to it (RFC 9449). */
export function needsBoundTokens(server: string): PreconditionError {
  return new PreconditionError(`${server} takes only tokens that are bound to a key of the client (DPoP)`, {
    hint:
      'Have a client that proves its key get one from the authorization server: an app that signs people in, or a service ' +
      'account (admin clients create <id> --service). `dpop: optional` in services/mcp/ lets others in too.',
    data: { server, reason: 'unbound' },
  });
}

/** The error for a server that is not configured. */
export function unknownServer(name: string): NotFoundError {
  return new NotFoundError(`There is no MCP server named ${name}`, {
    next: ['plugins mcp list'],
    data: { server: name },
  });
}
