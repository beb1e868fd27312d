import type { McpServerConfig, ScopeDetails } from '../domain/mcp/index.ts';

/** One server that has a say in what callers need, and the scopes that it asks for. */
export interface AskingServer {
  readonly name: string;
  /** Of the server and of those of its tools that can be reached. */
  readonly scopes: readonly string[];
  /** Of those, the ones that everybody has there without a grant. */
  readonly openScopes: readonly string[];
}

/** What the callers of a server need, whoever of the servers that take part asks for it. */
export interface Asked {
  readonly servers: readonly AskingServer[];
  readonly scopes: readonly string[];
  /** Open at every server that asks for them: else a token would open at one what only another gives to everybody. */
  readonly openScopes: readonly string[];
  /** What every caller of one of them needs. */
  readonly required: readonly string[];
  readonly details: ReadonlyMap<string, ScopeDetails>;
  readonly requireDpop: boolean;
  /** The shortest that one of them asks for, in seconds. */
  readonly tokenTtlSeconds: number | undefined;
}

/**
 * What is asked of the callers of a server. A token for a virtual server must do at its targets too, so what they ask for
 * belongs to it: their scopes and those of the tools that were chosen, and how their tokens must be.
 * @param servers all of the configuration; only virtual servers need them
 */
export function askedOf(server: McpServerConfig, servers: readonly McpServerConfig[]): Asked {
  const parts = [{ config: server, tools: [...server.tools.keys()] }, ...targetsOf(server, servers)];
  const details = new Map<string, ScopeDetails>();
  for (const { config } of parts) {
    for (const [name, more] of config.oauth.details ?? []) {
      const known = details.get(name);
      details.set(
        name,
        known === undefined ? more : { ...more, ...known, sensitive: known.sensitive || more.sensitive },
      );
    }
  }
  const asking = parts.map(({ config, tools }): AskingServer => {
    const scopes = new Set([...config.oauth.scopes, ...tools.flatMap((tool) => config.tools.get(tool)?.scopes ?? [])]);
    const open = [...(config.oauth.details ?? [])].flatMap(([name, more]) => (more.open ? [name] : []));
    return { name: config.name, scopes: [...scopes], openScopes: open };
  });
  const open = new Set(asking.flatMap(({ openScopes }) => openScopes));
  const lives = parts.flatMap(({ config }) => config.oauth.tokenTtlSeconds ?? []);
  return {
    servers: asking,
    scopes: [...new Set(asking.flatMap(({ scopes }) => scopes))],
    openScopes: [...open].filter((name) =>
      asking.every(({ scopes, openScopes }) => openScopes.includes(name) || !scopes.includes(name)),
    ),
    required: [...new Set(parts.flatMap(({ config }) => config.oauth.scopes))],
    details,
    requireDpop: parts.some(({ config }) => config.oauth.requireDpop === true),
    tokenTtlSeconds: lives.length === 0 ? undefined : Math.min(...lives),
  };
}

/** The targets of a virtual server, each once, with the tools that can be reached through it. */
function targetsOf({ virtual }: McpServerConfig, servers: readonly McpServerConfig[]) {
  const chosen = new Map<McpServerConfig, Set<string>>();
  for (const { server, tools } of virtual?.targets ?? []) {
    const config = servers.find(({ name, enabled }) => name === server && enabled);
    if (config === undefined) continue;
    const names = chosen.get(config) ?? new Set();
    for (const name of tools === '*' ? config.tools.keys() : tools.map(({ tool }) => tool)) names.add(name);
    chosen.set(config, names);
  }
  return [...chosen].map(([config, tools]) => ({ config, tools: [...tools] }));
}
