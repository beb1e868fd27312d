import { hasProcess, type McpServerConfig, type McpServerKind } from '../../domain/mcp/index.ts';
import type { FleetFacts } from '../fleet/facts.ts';
import { toolsOfServer } from '../fleet/tools.ts';
import { type ServerVariable, variablesOf } from '../fleet/variables.ts';
import { mcpAudience, resourceMetadataUrl } from '../identity.ts';
import type { ServiceEndpoint } from '../supervisor/directory.ts';
import type { CircuitState } from './breaker.ts';

/** One MCP server in the answer of `GET /api/v1/mcp/registry`; from `status` on for the signed-in alone. */
export interface RegistryServer {
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly kind: McpServerKind;
  readonly endpoint: string;
  readonly oauth: { readonly required: boolean; readonly scopes: string[]; readonly resource_metadata: string };
  /** Where its entry in the form of the public MCP registry is. */
  readonly server_json: string;
  readonly status?: string;
  readonly port?: number;
  readonly instance_id?: string;
  readonly pid?: number;
  readonly started_at?: string;
  readonly uptime_s?: number;
  readonly health?: {
    readonly serving: boolean;
    readonly failures_in_a_row: number;
    readonly restarts: number;
    /** How long it took to answer now; absent when it did not. */
    readonly latency_ms?: number;
    readonly reason?: string;
    readonly last_error?: string;
  };
  /** Whether requests are sent to it, as the API process that answers sees it; absent where there is no circuit breaker. */
  readonly circuit?: CircuitState;
  readonly dev_only?: boolean;
  readonly tool_policy?: 'auto' | 'review';
  /** What is known of its tools; absent while it was never asked. */
  readonly tools?: readonly RegistryTool[];
  readonly tool_count?: number;
  /** Names of the tools that may not be called until somebody approves them. */
  readonly held_tools?: readonly string[];
  /** Of a virtual server: where its tools come from. */
  readonly targets?: readonly string[];
  /** Tables that it counts on. */
  readonly schemas?: { readonly mode: string; readonly tables: readonly string[] };
  /** Names of the variables that it reads; never values. */
  readonly variables?: readonly ServerVariable[];
}

export interface RegistryTool {
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly state: 'approved' | 'held';
  /** What a caller needs beside the scopes of the server. */
  readonly scopes: readonly string[];
}

export interface RegistrySource {
  readonly servers: readonly McpServerConfig[];
  readonly externalUrl: string;
  readonly directory: { endpoint(serviceName: string): ServiceEndpoint | undefined };
  /** What the database knows of them. */
  readonly facts?: FleetFacts | undefined;
  /** How long each that answers took to do so, in ms, by name. */
  readonly latencies?: ReadonlyMap<string, number> | undefined;
  /** What the circuit breaker of this process says of a server. */
  readonly circuitOf?: ((server: string) => CircuitState) | undefined;
}

/**
 * The enabled MCP servers as clients see them.
 * @param details whether to tell how they are doing as well, and to list those that the web does not show
 */
export function registryView(source: RegistrySource, details: boolean): RegistryServer[] {
  return source.servers
    .filter((server) => server.enabled && (details || server.displayInWeb))
    .map((server) => {
      const entry = publicEntry(server, source.externalUrl);
      return details
        ? { ...entry, ...statusOf(server, source), ...declared(server), ...toolsOf(server, source) }
        : entry;
    });
}

function publicEntry(server: McpServerConfig, externalUrl: string): RegistryServer {
  const endpoint = mcpAudience(externalUrl, server.name);
  return {
    name: server.name,
    display_name: server.displayName,
    description: server.description,
    kind: server.kind,
    endpoint,
    oauth: {
      required: server.oauth.required,
      scopes: [...server.oauth.scopes],
      resource_metadata: resourceMetadataUrl(endpoint),
    },
    server_json: endpoint.replace(/mcp$/, 'server.json'),
  };
}

function statusOf(
  server: McpServerConfig,
  { directory, facts, latencies, circuitOf }: RegistrySource,
): Partial<RegistryServer> {
  // A virtual server is answered by the API itself, which is answering now.
  if (!hasProcess(server)) return { status: 'ready' };
  const running = directory.endpoint(`mcp:${server.name}`);
  const known = facts?.processes.get(server.name);
  const port = running === undefined ? {} : { port: running.port, instance_id: running.instanceId };
  const circuit = circuitOf === undefined || server.breaker === undefined ? {} : { circuit: circuitOf(server.name) };
  const status = { status: running?.state ?? known?.state ?? 'stopped', ...port, ...circuit };
  if (known === undefined) return status;
  const up = known.startedAt !== undefined && running !== undefined ? known.startedAt : undefined;
  const latency = latencies?.get(server.name);
  return {
    ...status,
    ...(known.pid === undefined ? {} : { pid: known.pid }),
    ...(up === undefined
      ? {}
      : { started_at: up, uptime_s: Math.max(0, Math.round((Date.now() - Date.parse(up)) / 1000)) }),
    health: {
      serving: known.serving,
      failures_in_a_row: known.failuresInARow,
      restarts: known.restarts,
      ...(latency === undefined ? {} : { latency_ms: latency }),
      ...(known.reason === undefined ? {} : { reason: known.reason }),
      ...(known.lastError === undefined ? {} : { last_error: known.lastError }),
    },
  };
}

function toolsOf(server: McpServerConfig, { facts }: RegistrySource): Partial<RegistryServer> {
  const tools = toolsOfServer(server, facts?.tools);
  if (tools === undefined) return {};
  return {
    tools: tools.map(({ name, title, description, state }) => ({
      name,
      ...(title === undefined ? {} : { title }),
      ...(description === undefined ? {} : { description }),
      state,
      scopes: [...(server.tools.get(name)?.scopes ?? [])],
    })),
    tool_count: tools.length,
    held_tools: tools.filter(({ state }) => state === 'held').map(({ name }) => name),
  };
}

/** What a server declares beside its address: policy, tables, and the names of its variables. */
function declared(server: McpServerConfig): Partial<RegistryServer> {
  const { schemas, virtual } = server;
  return {
    dev_only: server.devOnly,
    tool_policy: server.toolPolicy,
    ...(virtual === undefined ? {} : { targets: virtual.targets.map((target) => target.server) }),
    ...(schemas === undefined
      ? {}
      : { schemas: { mode: schemas.mode, tables: schemas.tables.map(({ table }) => table) } }),
    variables: variablesOf(server),
  };
}
