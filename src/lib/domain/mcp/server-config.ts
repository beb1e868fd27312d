import type { ServiceLimits } from '../../infra/config/limits-schema.ts';
import type { McpServerYaml } from './config.ts';
import type { McpServerKind } from './config-kinds.ts';
import { type McpBreaker, type McpRateLimit, toBreaker, toRateLimit } from './config-limits.ts';
import { type McpSchemas, toSchemas } from './config-schemas.ts';
import { toUpstreamAuth, type UpstreamAuthConfig } from './config-upstream.ts';
import { toTargets, type VirtualTarget } from './config-virtual.ts';
import type { ToolHook } from './hooks.ts';
import { type McpOauth, scopeName, toOauth } from './oauth.ts';
import { type McpVariable, toVariables } from './variables.ts';

export interface McpToolConfig {
  readonly scopes: readonly string[];
  readonly timeoutMs?: number;
  /** Argument names whose values the audit never stores. */
  readonly secret: ReadonlySet<string>;
  readonly rateLimit?: McpRateLimit;
}

/** A place in a file, for findings that come after it was read; counted from 1. */
export interface ModulePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A program that is started for a server. */
export interface McpCommand {
  /** A name on the PATH, or a path from the project folder. */
  readonly program: string;
  readonly args: readonly string[];
  /** From the project folder; absent: that folder. */
  readonly cwd?: string;
}

/** How the processes of a command are kept. */
export interface McpProcess {
  readonly instances: 'shared' | 'session' | 'user';
  /** 0: never. */
  readonly idleStopMs: number;
  readonly startTimeoutMs: number;
  /** Variables that each user brings; only with an instance for each. */
  readonly userVariables: readonly string[];
}

/** A server that runs elsewhere. */
export interface McpExternal {
  readonly endpoint: string;
  readonly transport: 'auto' | 'streamable-http' | 'sse';
  /** Whether http and addresses that are not public are let through. */
  readonly privateNetwork: boolean;
  readonly auth: UpstreamAuthConfig;
}

/** One MCP server as the rest of the code knows it. */
export interface McpServerConfig {
  readonly name: string;
  readonly kind: McpServerKind;
  /** Empty but for an internal server that is a module. */
  readonly module: string;
  /** Where the configuration names what runs: the module, the command, the endpoint or the targets. */
  readonly moduleAt: ModulePlace;
  /** Of a server that is bridged it can be left to the supervisor; a virtual one has none. */
  readonly port: number | undefined;
  /** Whether it is in force: `enabled` as it is written, but for `dev_only` in production. */
  readonly enabled: boolean;
  readonly devOnly: boolean;
  readonly displayName: string;
  readonly description: string;
  readonly displayInWeb: boolean;
  readonly delegate: boolean;
  readonly oauth: McpOauth;
  readonly tools: ReadonlyMap<string, McpToolConfig>;
  readonly env: Readonly<Record<string, string>>;
  readonly variables: readonly McpVariable[];
  /** Where `env` and `variables` name each of theirs. */
  readonly variablesAt: Readonly<Record<string, ModulePlace>>;
  /** Names of environment variables that are handed on from the instance's own. */
  readonly inheritedEnv: readonly string[];
  readonly limits: ServiceLimits;
  /** Rules and hooks for its calls. */
  readonly hooks?: readonly ToolHook[] | undefined;
  /** Of stdio servers, and of internal ones in another language. */
  readonly command?: McpCommand;
  /** Always there with `command`. */
  readonly process?: McpProcess;
  readonly external?: McpExternal;
  readonly virtual?: { readonly targets: readonly VirtualTarget[] };
  readonly toolPolicy: 'auto' | 'review';
  /** Undefined: none. */
  readonly breaker: McpBreaker | undefined;
  readonly rateLimit?: McpRateLimit;
  readonly schemas?: McpSchemas;
}

/** Whether a bridge process stands between the router and the server: for all but modules of ours and virtual ones. */
export function isBridged(config: Pick<McpServerConfig, 'kind' | 'command'>): boolean {
  return config.kind === 'stdio' || config.kind === 'external' || config.command !== undefined;
}

/** Whether a process is supervised for the server, as service `mcp:<name>`. */
export function hasProcess(config: Pick<McpServerConfig, 'kind'>): boolean {
  return config.kind !== 'virtual';
}

/** The field that says what runs, by which a server is found in its file. */
export function sourceField(yaml: McpServerYaml): 'module' | 'binary' | 'command' | 'endpoint' | 'targets' {
  if (yaml.type === 'virtual') return 'targets';
  if (yaml.type === 'external') return 'endpoint';
  if (yaml.type === 'stdio' || yaml.command !== undefined) return 'command';
  return yaml.module === undefined ? 'binary' : 'module';
}

/**
 * A server in the words of the code.
 * @param moduleAt where the configuration names what runs, which {@link sourceField} says
 * @param placeOf where a part of the server is written, by its path below the server's name
 * @param production whether servers for development alone are left out
 */
export function toServerConfig(
  name: string,
  yaml: McpServerYaml,
  moduleAt: ModulePlace,
  placeOf: (path: readonly (string | number)[]) => ModulePlace,
  production = false,
): McpServerConfig {
  const places = (['env', 'variables'] as const).flatMap((part) =>
    Object.keys(yaml[part]).map((variable) => [variable, placeOf([part, variable])] as const),
  );
  return {
    name,
    kind: yaml.type,
    module: yaml.module ?? yaml.binary ?? '',
    moduleAt,
    port: yaml.port,
    enabled: yaml.enabled && !(production && yaml.dev_only),
    devOnly: yaml.dev_only,
    displayName: yaml.display_name ?? name,
    description: yaml.description,
    displayInWeb: yaml.display_in_web,
    delegate: yaml.delegate,
    oauth: toOauth(
      yaml.oauth,
      Object.values(yaml.tools).flatMap(({ scopes }) => scopes),
    ),
    tools: new Map(Object.entries(yaml.tools).map(([tool, entry]) => [tool, toTool(entry)])),
    env: yaml.env,
    variables: toVariables(yaml.variables),
    variablesAt: Object.fromEntries(places),
    inheritedEnv: yaml.env_vars,
    limits: yaml.limits,
    ...(yaml.hooks.length === 0 ? {} : { hooks: yaml.hooks }),
    ...ofKind(yaml),
    toolPolicy: yaml.tool_policy,
    breaker: toBreaker(yaml.circuit_breaker),
    ...(yaml.rate_limit === undefined ? {} : { rateLimit: toRateLimit(yaml.rate_limit) }),
    ...(yaml.schemas === undefined ? {} : { schemas: toSchemas(yaml.schemas, placeOf) }),
  };
}

/**
 * Whether each user has a list of tools of their own: a server whose instances belong to users, or that needs a user's
 * credentials. It is learnt from what passes to a user, or asked in the user's name.
 */
export function listsByUser({ process, external }: Pick<McpServerConfig, 'process' | 'external'>): boolean {
  return (
    process?.instances === 'user' ||
    (external !== undefined && external.auth.type !== 'none' && external.auth.per === 'user')
  );
}

function toTool(yaml: McpServerYaml['tools'][string]): McpToolConfig {
  const { scopes, timeout_ms: timeoutMs, secret, rate_limit: limit } = yaml;
  return {
    scopes: scopes.map(scopeName),
    secret: new Set(secret),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(limit === undefined ? {} : { rateLimit: toRateLimit(limit) }),
  };
}

function ofKind(yaml: McpServerYaml): Pick<McpServerConfig, 'command' | 'process' | 'external' | 'virtual'> {
  if (yaml.type === 'virtual') return { virtual: { targets: toTargets(yaml.targets ?? []) } };
  if (yaml.type === 'external') {
    const { endpoint = '', transport = 'auto', private_network: privateNetwork = false } = yaml;
    return { external: { endpoint, transport, privateNetwork, auth: toUpstreamAuth(yaml.upstream_auth) } };
  }
  if (yaml.command === undefined) return {};
  const { command: program, args = [], cwd } = yaml;
  return {
    command: { program, args, ...(cwd === undefined ? {} : { cwd }) },
    process: {
      instances: yaml.instances ?? 'shared',
      idleStopMs: (yaml.idle_stop_s ?? 300) * 1000,
      startTimeoutMs: yaml.start_timeout_ms ?? 30_000,
      userVariables: yaml.user_variables ?? [],
    },
  };
}
