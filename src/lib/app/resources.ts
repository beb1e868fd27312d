import { type McpIssuer, type McpServerConfig, tiersFor } from '../domain/mcp/index.ts';
import { isPermission, type Permission } from '../shared/permission.ts';
import { instanceAudience, mcpAudience } from './identity.ts';

/** One scope that a client may ask for at a resource. */
export interface ResourceScope {
  readonly name: string;
  /** What it allows, as people read it when they consent. */
  readonly description: string;
  /** Never given unasked, and not named to clients ahead of need. */
  readonly sensitive: boolean;
}

/** An issuer whose tokens a resource server takes beside the instance's own. */
export interface ExternalIssuer extends McpIssuer {
  readonly audience: string;
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
  readonly tokenTtlSeconds: number;
  readonly requireDpop: boolean;
  readonly ownKey: boolean;
  /** The ids of the clients whose tokens it takes; undefined: any. */
  readonly clients: readonly string[] | undefined;
  readonly issuers: readonly ExternalIssuer[];
}

/** The resource servers of the instance. */
export interface ResourceServers {
  all(): readonly ResourceServer[];
  /** In exactly that form: with a slash at the end it is another resource. */
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
 * @param settings the address of the instance and the longest life of a token, from the profile
 */
export function resourceServers(
  servers: readonly McpServerConfig[],
  settings: { readonly externalUrl: string; readonly maxTtlSeconds: number },
): ResourceServers {
  const all = [
    instanceServer(settings),
    ...servers.filter((server) => server.enabled).map((server) => mcpServer(server, settings)),
  ];
  const byAudience = new Map(all.map((server) => [server.audience, server]));
  const byName = new Map(all.filter(({ kind }) => kind === 'mcp').map((server) => [server.name, server]));
  const [instance] = all;
  return {
    all: () => all,
    byAudience: (audience) => byAudience.get(audience),
    byName: (name) => byName.get(name) ?? (name === instanceResource ? instance : undefined),
  };
}

/** The scopes that clients are told of ahead of need, so that one sign-in is enough for ordinary work. */
export function ordinaryScopes(server: Pick<ResourceServer, 'scopes'>): string[] {
  return server.scopes.filter((scope) => !scope.sensitive).map((scope) => scope.name);
}

function instanceServer(settings: Parameters<typeof resourceServers>[1]): ResourceServer {
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

function mcpServer(server: McpServerConfig, settings: Parameters<typeof resourceServers>[1]): ResourceServer {
  const { oauth } = server;
  const audience = mcpAudience(settings.externalUrl, server.name);
  const asked = new Set([...oauth.scopes, ...[...server.tools.values()].flatMap((tool) => tool.scopes)]);
  const scopes = [...asked].map((name) => describe(name, oauth.details?.get(name)));
  // Whoever has a higher tier may show it here too, since a server may act for its caller; nobody is told to ask for it.
  const higher = tiersFor(oauth.scopes).filter((tier) => !asked.has(tier));
  for (const name of higher) scopes.push({ ...describe(name, undefined), sensitive: true });
  return {
    audience,
    name: server.name,
    kind: 'mcp',
    displayName: server.displayName,
    scopes,
    defaultScopes: oauth.defaultScopes ?? ordinaryScopes({ scopes }),
    openScopes: [...(oauth.details ?? [])].flatMap(([name, { open }]) => (open ? [name] : [])),
    tokenTtlSeconds: Math.min(oauth.tokenTtlSeconds ?? settings.maxTtlSeconds, settings.maxTtlSeconds),
    requireDpop: oauth.requireDpop ?? false,
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
