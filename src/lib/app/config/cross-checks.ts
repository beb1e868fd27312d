import type { ConfigIssue } from '../../shared/errors.ts';
import type { Composed } from './compose.ts';
import { type Declarations, type Declared, issueAt, placeOf } from './declarations.ts';
import { serverChecks } from './mcp-checks.ts';
import { unknownReferences } from './references.ts';

/** First and last port that a profile allows. */
export type PortRange = readonly [number, number];

interface Ranges {
  readonly agents?: PortRange | undefined;
  readonly mcp?: PortRange | undefined;
  /** The longest life of a token. */
  readonly maxTtlSeconds?: number | undefined;
}

type Listener = Declared<{ readonly port?: number | undefined; readonly enabled: boolean }>;

/** What no file shows by itself: names, ports and references across all of them. */
export function crossChecks(composed: Composed, declarations: Declarations, profile: Ranges): ConfigIssue[] {
  const { agents, servers, settings } = composed;
  return [
    ...sharedNames(agents, servers),
    ...sharedPorts([...servers, ...agents]),
    ...portsOutOf(servers, profile.mcp, settings.mcp_port_range, 'mcp'),
    ...portsOutOf(agents, profile.agents, settings.agent_port_range, 'agents'),
    ...livesBeyond(servers, profile.maxTtlSeconds),
    ...serverChecks(composed),
    ...defaultAgents(composed),
    ...repeatedJobs(composed),
    ...unknownReferences(composed, declarations),
  ];
}

function sharedNames(agents: readonly Declared[], servers: readonly Declared[]): ConfigIssue[] {
  const byName = new Map(servers.map((server) => [server.name, server]));
  return agents.flatMap((agent) => {
    const namesake = byName.get(agent.name);
    if (namesake === undefined) return [];
    const message = `the agent ${agent.name} has the name of the MCP server in ${placeOf(namesake)}`;
    return [issueAt(agent, [], message, 'give one of them another name', 'key')];
  });
}

/** Ports that two of those have which are enabled. */
function sharedPorts(listeners: readonly Listener[]): ConfigIssue[] {
  const byPort = new Map<number, Listener>();
  const issues: ConfigIssue[] = [];
  for (const listener of listeners) {
    const { port, enabled } = listener.value;
    if (!enabled || port === undefined) continue;
    const neighbour = byPort.get(port);
    if (neighbour === undefined) {
      byPort.set(port, listener);
      continue;
    }
    const place = placeOf(neighbour, ['port']);
    issues.push(
      issueAt(listener, ['port'], `port ${port} is also the port of ${neighbour.name} in ${place}`, 'choose another'),
    );
  }
  return issues;
}

function portsOutOf(
  listeners: readonly Listener[],
  profile: PortRange | undefined,
  settings: PortRange | undefined,
  kind: 'mcp' | 'agents',
): ConfigIssue[] {
  const setting = kind === 'mcp' ? 'mcp_port_range' : 'agent_port_range';
  return listeners.flatMap((listener) => {
    const { port } = listener.value;
    if (port === undefined) return [];
    if (profile !== undefined && !isWithin(port, profile)) {
      const hint = `choose one from ${profile[0]} to ${profile[1]}, or change ports.${kind} of the profile`;
      return [issueAt(listener, ['port'], `port ${port} is outside of the profile's range`, hint)];
    }
    if (settings !== undefined && !isWithin(port, settings)) {
      const hint = `choose one from ${settings[0]} to ${settings[1]}, or change settings.${setting}`;
      return [issueAt(listener, ['port'], `port ${port} is outside of the range in the settings`, hint)];
    }
    return [];
  });
}

/** Servers whose tokens would live longer than the profile lets any. */
function livesBeyond(servers: Composed['servers'], max: number | undefined): ConfigIssue[] {
  return servers.flatMap((server) => {
    const { token_ttl_seconds: seconds } = server.value.oauth;
    if (seconds === undefined || max === undefined || seconds <= max) return [];
    const hint = `write ${max} at most, or change security.access_token_ttl_seconds of the profile`;
    return [issueAt(server, ['oauth', 'token_ttl_seconds'], `${seconds} s is longer than the profile allows`, hint)];
  });
}

function isWithin(port: number, [low, high]: PortRange): boolean {
  return port >= low && port <= high;
}

function defaultAgents({ agents }: Composed): ConfigIssue[] {
  const [first, ...others] = agents.filter(({ value }) => value.default);
  if (first === undefined) return [];
  return others.map((agent) => {
    const message = `${agent.name} can't be the default agent: ${first.name} is, in ${placeOf(first, ['default'])}`;
    return issueAt(agent, ['default'], message, 'remove one of them');
  });
}

function repeatedJobs({ scheduler, origins }: Composed): ConfigIssue[] {
  const seen = new Set<string>();
  return scheduler.jobs.flatMap(({ name }, index) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    const origin = origins.originOf(['scheduler', 'jobs', index, 'name']);
    return origin === undefined
      ? []
      : [{ ...origin, message: `the job ${name} is there twice`, hint: 'keep one of them' }];
  });
}
