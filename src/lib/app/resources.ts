import type { ProtectedResource, TrustedIssuer } from '../domain/auth/index.ts';
import { type McpServerConfig, tiersFor } from '../domain/mcp/index.ts';
import { isPermission, type Permission } from '../shared/permission.ts';
import { type AskingServer, askedOf } from './asking-servers.ts';
import { instanceAudience, mcpAudience, resourceMetadataUrl } from './identity.ts';

/** One scope that a client may ask for at a resource. */
export interface ResourceScope {
  readonly name: string;
  /** What it allows, as people read it when they consent. */
  readonly description: string;
  /** Never given unasked, and not named to clients ahead of need. */
  readonly sensitive: boolean;
}

/** What accepts tokens: the instance itself, or one MCP server. Each takes only those that were made for it. */
export interface ResourceServer {
  /** Its own address, without a slash at the end: the `resource` of its RFC 9728 document (RFC 8707 section 2). */
  readonly audience: string;
  /** Name of the MCP server; `instance` for the API itself. */
  readonly name: string;
  readonly kind: 'instance' | 'mcp';
  readonly displayName: string;
  /** All that may be asked for: tiers and named ones. */
  readonly scopes: readonly ResourceScope[];
  /** What a request gets that names none; never sensitive ones. */
  readonly defaultScopes: readonly string[];
  /** Named scopes that everyone who may call the server has without a grant. */
  readonly openScopes: readonly string[];
  /** The servers behind a virtual one ask for scopes as well: who asks for which. */
  readonly askedBy?: readonly AskingServer[];
  readonly tokenTtlSeconds: number;
  readonly requireDpop: boolean;
  readonly ownKey: boolean;
  /** The ids of the clients whose tokens it takes; undefined: any. */
  readonly clients: readonly string[] | undefined;
  /** Issuers whose tokens it takes beside the instance's own. */
  readonly issuers: readonly TrustedIssuer[];
}

/** The resource servers of the instance. */
export interface ResourceServers {
  all(): readonly ResourceServer[];
  /** In exactly that form, or as the address of its SSE: with a slash at the end it is another resource. */
  byAudience(audience: string): ResourceServer | undefined;
  byName(name: string): ResourceServer | undefined;
}

/** The name of the API itself among the resource servers. No MCP server's audience is like its. */
export const instanceResource = 'instance';

const tierDescriptions: Record<Permission, string> = {
  admin: 'Administer this instance in your name: everything that you may do here',
  user: 'Use it in your name',
  service: 'Use it as a service',
  a2a: 'Use it as an agent that works for others',
  mcp: 'Use it as an MCP server',
  anonymous: 'Use what is open to everyone',
};

/**
 * The resource servers that the configuration asks for: the instance and each enabled MCP server.
 * @param servers the list of them, or who knows it at each time
 */
export function resourceServers(
  servers: readonly McpServerConfig[] | (() => readonly McpServerConfig[]),
  settings: ResourceSettings,
): ResourceServers {
  let known: { readonly of: readonly McpServerConfig[]; readonly index: Index } | undefined;
  const index = (): Index => {
    const now = typeof servers === 'function' ? servers() : servers;
    if (known?.of !== now) known = { of: now, index: indexOf(now, settings) };
    return known.index;
  };
  return {
    all: () => index().all,
    byAudience: (audience) => index().byAudience.get(audience),
    byName: (name) => index().byName.get(name),
  };
}

/** What the profile has a say in. */
interface ResourceSettings {
  /** The address of the instance. */
  readonly externalUrl: string;
  /** The longest life of a token. */
  readonly maxTtlSeconds: number;
}

interface Index {
  readonly all: readonly ResourceServer[];
  readonly byAudience: ReadonlyMap<string, ResourceServer>;
  readonly byName: ReadonlyMap<string, ResourceServer>;
}

function indexOf(servers: readonly McpServerConfig[], settings: ResourceSettings): Index {
  const instance = instanceServer(settings);
  const others = servers.filter((server) => server.enabled).map((server) => mcpResource(server, settings, servers));
  const all = [instance, ...others];
  return {
    all,
    byAudience: new Map([
      ...others.map((server) => [sseAddress(server.audience), server] as const),
      ...all.map((server) => [server.audience, server] as const),
    ]),
    // An MCP server of that name has it.
    byName: new Map(all.map((server) => [server.name, server])),
  };
}

/** The scopes that clients are told of ahead of need, so that one sign-in is enough for ordinary work. */
export function ordinaryScopes(server: Pick<ResourceServer, 'scopes'>): string[] {
  return server.scopes.filter((scope) => !scope.sensitive).map((scope) => scope.name);
}

/**
 * The other address of an MCP server, where clients of 2024-11-05 connect. They ask for a token for what they connect to
 * (RFC 9728 section 3.3), and get one for the server.
 */
export function sseAddress(audience: string): string {
  return audience.replace(/\/mcp$/, '/sse');
}

/** What callers without a good token are told of it. @param at the address that they connect to, its own unless told */
export function protectedResource(server: ResourceServer, at = server.audience): ProtectedResource {
  return {
    audience: server.audience,
    metadataUrl: resourceMetadataUrl(at),
    scopes: ordinaryScopes(server),
    requireDpop: server.requireDpop,
  };
}

function instanceServer(settings: ResourceSettings): ResourceServer {
  return {
    audience: instanceAudience(settings.externalUrl),
    name: instanceResource,
    kind: 'instance',
    displayName: 'systemprompt',
    scopes: [
      { name: 'user', description: tierDescriptions.user, sensitive: false },
      { name: 'admin', description: tierDescriptions.admin, sensitive: true },
    ],
    defaultScopes: ['user'],
    openScopes: [],
    tokenTtlSeconds: settings.maxTtlSeconds,
    requireDpop: false,
    ownKey: false,
    clients: undefined,
    issuers: [],
  };
}

/**
 * One MCP server as what accepts tokens.
 * @param servers all of the configuration: with a token for a virtual server its targets are called
 */
export function mcpResource(
  server: McpServerConfig,
  settings: ResourceSettings,
  servers: readonly McpServerConfig[],
): ResourceServer {
  const { oauth } = server;
  const audience = mcpAudience(settings.externalUrl, server.name);
  const asked = askedOf(server, servers);
  const scopes = asked.scopes.map((name) => describe(name, asked.details.get(name)));
  // Whoever has a higher tier may show it here too, since a server may act for its caller; nobody is told to ask for it.
  const higher = tiersFor(asked.required).filter((tier) => !asked.scopes.includes(tier));
  for (const name of higher) scopes.push({ ...describe(name, undefined), sensitive: true });
  return {
    audience,
    name: server.name,
    kind: 'mcp',
    displayName: server.displayName,
    scopes,
    defaultScopes: oauth.defaultScopes ?? ordinaryScopes({ scopes }),
    openScopes: asked.openScopes,
    ...(asked.servers.length === 1 ? {} : { askedBy: asked.servers }),
    tokenTtlSeconds: Math.min(asked.tokenTtlSeconds ?? settings.maxTtlSeconds, settings.maxTtlSeconds),
    requireDpop: asked.requireDpop,
    ownKey: oauth.ownKey ?? false,
    clients: oauth.clients,
    issuers: (oauth.issuers ?? []).map((issuer) => ({ ...issuer, audience: issuer.audience ?? audience })),
  };
}

function describe(
  name: string,
  details: { readonly description?: string; readonly sensitive: boolean } | undefined,
): ResourceScope {
  const fallback = isPermission(name) ? tierDescriptions[name] : name;
  return { name, description: details?.description ?? fallback, sensitive: details?.sensitive ?? false };
}
