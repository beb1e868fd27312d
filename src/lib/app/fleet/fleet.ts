import { hasProcess, listsByUser, type McpServerConfig, mcpEndpointPath } from '../../domain/mcp/index.ts';
import { DatabaseUnavailableError } from '../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import type { CircuitState } from '../router/breaker.ts';
import type { ServiceStatus } from '../supervisor/status.ts';
import { type FleetTool, fleetFacts } from './facts.ts';
import { fleetLatencies } from './latencies.ts';
import { toolsOfServer } from './tools.ts';

/** One MCP server of the configuration, with what is known of it now. */
export interface FleetServer {
  readonly config: McpServerConfig;
  /** Where clients reach it. */
  readonly url: string;
  /** State of its process; `not running`, `disabled`, or `dev only` for one that is left out in production. */
  readonly state: string;
  /** Of its process, while the instance runs. */
  readonly status: ServiceStatus | undefined;
  /** How long it took to answer now, in ms; undefined when it does not. */
  readonly latencyMs: number | undefined;
  /** Its circuit breaker, where it is worst among the API processes at their last check; undefined without one. */
  readonly circuit: CircuitState | undefined;
  /** What is known of its tools; undefined while nothing is, or nobody can be asked. */
  readonly tools: readonly FleetTool[] | undefined;
}

/**
 * The whole fleet: the servers of all kinds, those that are not enabled among them, by name.
 * @throws ConfigInvalidError with every finding
 */
export async function fleet(context: CommandContext): Promise<FleetServer[]> {
  const servers = await context.mcpServers();
  const running = await context.runningStatus();
  const url = await context.externalUrl();
  const places = new Map(running?.services.map((service) => [service.name, service]));
  const [tools, latencies] = await Promise.all([
    running === undefined ? undefined : knownTools(context, servers),
    fleetLatencies(servers, { endpoint: (name) => places.get(name) }),
  ]);
  return servers.map((config) => {
    const status = places.get(`mcp:${config.name}`);
    return {
      config,
      url: `${url}${mcpEndpointPath(config.name)}`,
      state: stateOf(config, status, running !== undefined),
      status,
      circuit: running === undefined ? undefined : circuitOf(config, running.services),
      latencyMs: latencies.get(config.name),
      tools: toolsOfServer(config, tools),
    };
  });
}

/** The worst that an API process says: each counts for itself what it saw. */
export function circuitOf(
  config: Pick<McpServerConfig, 'name' | 'breaker' | 'enabled' | 'virtual'>,
  services: readonly Pick<ServiceStatus, 'kind' | 'health'>[],
): CircuitState | undefined {
  // To a virtual server nothing is sent: its targets have theirs.
  if (config.breaker === undefined || !config.enabled || config.virtual !== undefined) return undefined;
  const api = services.filter(({ kind, health }) => kind === 'api' && health !== undefined);
  const said = api.map(({ health }) => health?.circuits?.[config.name]);
  if (said.includes('open')) return 'open';
  if (said.includes('half_open')) return 'half_open';
  return api.length === 0 ? undefined : 'closed';
}

function stateOf(config: McpServerConfig, status: ServiceStatus | undefined, running: boolean): string {
  if (status !== undefined) return status.state;
  if (!config.enabled) return config.devOnly ? 'dev only' : 'disabled';
  // The API answers for it.
  return !hasProcess(config) && running ? 'ready' : 'not running';
}

async function knownTools(
  context: CommandContext,
  servers: readonly McpServerConfig[],
): Promise<ReadonlyMap<string, readonly FleetTool[]> | undefined> {
  try {
    const { userId } = await context.currentActor();
    const own = { servers: servers.filter(listsByUser).map(({ name }) => name), userId };
    return (await fleetFacts(await context.database(), (await context.instance()).id, own)).tools;
  } catch (error) {
    // How the servers are, the supervisor says: tools are left out while the database is away.
    if (error instanceof DatabaseUnavailableError) return undefined;
    throw error;
  }
}

/** What runs: the module, the command, the address or the servers behind. */
export function artefactOf({ module, command, external, virtual }: McpServerConfig): string {
  if (command !== undefined) return [command.program, ...command.args].join(' ');
  if (external !== undefined) return external.endpoint;
  if (virtual !== undefined) return virtual.targets.map(({ server }) => server).join(', ');
  return module;
}
