import { mcpEndpointPath } from '../../domain/mcp/index.ts';
import { quoted } from '../../infra/config/quoted.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { isPermission, permissionLevels } from '../../shared/permission.ts';
import type { Composed } from './compose.ts';
import { type Declared, issueAt, placeOf } from './declarations.ts';

type Server = Composed['servers'][number];

/** What MCP servers say against each other, and against what is known: addresses, scopes, targets of virtual ones. */
export function serverChecks({ servers, agents }: Composed): ConfigIssue[] {
  const byName = new Map(servers.map((server) => [server.name, server]));
  return [
    ...servers.flatMap(foreignEndpoint),
    ...unknownScopes(servers, agents),
    ...servers.flatMap((server) => unknownTargets(server, byName)),
    ...servers.flatMap(nameClashes),
    ...agents.flatMap((agent) => unmappedServers(agent, byName)),
  ];
}

/** Older files name the address that follows from the profile; any other means that somebody thought of `external`. */
function foreignEndpoint(server: Server): ConfigIssue[] {
  const { type, endpoint } = server.value;
  if (type === 'external' || endpoint === undefined) return [];
  const path = URL.canParse(endpoint) ? new URL(endpoint).pathname : endpoint;
  if (path === mcpEndpointPath(server.name)) return [];
  const message = `${server.name} is ${type} and has the endpoint of another server`;
  const hint = 'take it out, since the address follows from the profile; or, if it runs there, write `type: external`';
  return [issueAt(server, ['endpoint'], message, hint)];
}

/** A plain word is a tier. What is one's own has a name with a colon or the like in it, or is described. */
function unknownScopes(servers: Composed['servers'], agents: Composed['agents']): ConfigIssue[] {
  const described = new Set(
    servers.flatMap(({ value }) =>
      [...value.oauth.scopes, ...Object.values(value.tools).flatMap(({ scopes }) => scopes)].flatMap((entry) =>
        typeof entry === 'string' ? [] : [entry.name],
      ),
    ),
  );
  const issues: ConfigIssue[] = [];
  const look = (declared: Declared, path: readonly string[], scopes: readonly unknown[]) => {
    for (const [index, scope] of scopes.entries()) {
      if (typeof scope !== 'string' || isPermission(scope) || /[^a-z]/i.test(scope) || described.has(scope)) continue;
      const tiers = Object.keys(permissionLevels);
      const [meant] = nearest(scope.toLowerCase(), tiers, 1);
      const own = `a scope of your own is \`${declared.name}:${scope}\`, or has a description`;
      const hint = meant === undefined ? `the tiers are ${tiers.join(', ')}; ${own}` : `did you mean \`${meant}\`?`;
      issues.push(issueAt(declared, [...path, String(index)], `there is no scope ${quoted(scope)}`, hint));
    }
  };
  for (const server of servers) {
    look(server, ['oauth', 'scopes'], server.value.oauth.scopes);
    for (const [tool, { scopes }] of Object.entries(server.value.tools))
      look(server, ['tools', tool, 'scopes'], scopes);
  }
  for (const agent of agents) look(agent, ['oauth', 'scopes'], agent.value.oauth.scopes);
  return issues;
}

function unknownTargets(server: Server, byName: ReadonlyMap<string, Server>): ConfigIssue[] {
  return (server.value.targets ?? []).flatMap((target, index): ConfigIssue[] => {
    const at = ['targets', index, 'server'];
    const found = byName.get(target.server);
    if (found === undefined) {
      const [meant] = nearest(target.server, [...byName.keys()], 1);
      const all = [...byName.keys()].filter((name) => name !== server.name).slice(0, 20);
      const hint = meant === undefined ? `there is: ${all.join(', ')}` : `did you mean \`${meant}\`?`;
      return [issueAt(server, at, `there is no MCP server ${quoted(target.server)}`, hint)];
    }
    if (server.value.enabled && !found.value.enabled) {
      const message = `${server.name} offers tools of ${target.server}, which is not enabled`;
      return [issueAt(server, at, message, `enable it in ${placeOf(found)}, or take it out here`)];
    }
    if (found.value.type === 'virtual') {
      // Its tools are known by what its targets list: a call goes to a server with a process, in one step.
      const behind = [...new Set((found.value.targets ?? []).map(({ server: name }) => name))].slice(0, 20);
      const message = `${target.server} is virtual itself, and virtual servers offer tools of others only`;
      const others = behind.filter((name) => name !== server.name);
      const hint = others.length === 0 ? 'take it out' : `name its targets here instead: ${others.join(', ')}`;
      return [issueAt(server, at, message, hint)];
    }
    return [];
  });
}

/** Tools of a virtual server that would have one name; those of `'*'` show when they are known. */
function nameClashes(server: Server): ConfigIssue[] {
  const seen = new Map<string, readonly (string | number)[]>();
  const issues: ConfigIssue[] = [];
  const take = (name: string, path: readonly (string | number)[], message: string) => {
    const first = seen.get(name);
    if (first === undefined) {
      seen.set(name, path);
      return;
    }
    const hint = `it is in ${placeOf(server, first)} already: give one of them another name with \`as\`, or a prefix`;
    issues.push(issueAt(server, path, message, hint));
  };
  for (const [index, { server: target, tools, prefix }] of (server.value.targets ?? []).entries()) {
    if (tools === '*') {
      take(`${target}\0${prefix}`, ['targets', index, 'server'], `all tools of ${target} are there twice`);
      continue;
    }
    for (const [position, entry] of tools.entries()) {
      const name = prefix + (typeof entry === 'string' ? entry : (entry.as ?? entry.tool));
      take(name, ['targets', index, 'tools', position], `${server.name} would have two tools ${quoted(name)}`);
    }
  }
  return issues;
}

/** Tools of servers that an agent was not given. */
function unmappedServers(agent: Composed['agents'][number], byName: ReadonlyMap<string, Server>): ConfigIssue[] {
  const { mcp_servers: servers, tool_model_overrides: overrides } = agent.value.metadata;
  return Object.keys(overrides)
    .filter((name) => byName.has(name) && !servers.includes(name))
    .map((name) => {
      const message = `${agent.name} has no MCP server ${quoted(name)}`;
      const hint = 'name it in metadata.mcp_servers as well: an agent reaches what is declared, and nothing else';
      return issueAt(agent, ['metadata', 'tool_model_overrides', name], message, hint, 'key');
    });
}
