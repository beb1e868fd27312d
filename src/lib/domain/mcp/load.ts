import { join } from 'node:path';
import { type ParsedYaml, parseYamlFile, yamlFilesIn } from '../../infra/config/yaml.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import { type McpServerConfig, mcpFileSchema, toServerConfig } from './config.ts';

interface Found {
  readonly server: McpServerConfig;
  readonly parsed: ParsedYaml<unknown>;
}

export interface LoadOptions {
  /** First and last port that the profile allows; not checked unless given. */
  readonly portRange?: readonly [number, number];
}

/**
 * Reads every file of `services/mcp/`; none there means no servers.
 * @param servicesDir the folder `services/` of the instance
 * @returns the servers sorted by name, those that are not enabled included
 * @throws ConfigInvalidError with the findings of all files, each with its place
 */
export async function loadMcpServers(servicesDir: string, options: LoadOptions = {}): Promise<McpServerConfig[]> {
  const issues: ConfigIssue[] = [];
  const found: Found[] = [];
  for (const file of await yamlFilesIn(join(servicesDir, 'mcp'))) {
    const parsed = await parseYamlFile(file, mcpFileSchema);
    if ('issues' in parsed) {
      issues.push(...parsed.issues);
      continue;
    }
    for (const [name, yaml] of Object.entries(parsed.value.mcp_servers)) {
      const key = yaml.module === undefined ? 'binary' : 'module';
      const placeOf = (path: readonly string[], at?: 'key') => {
        const { line, column } = parsed.locate(['mcp_servers', name, ...path], at);
        return { file: parsed.file, line, column };
      };
      const server = toServerConfig(name, yaml, placeOf([key]), (path) => placeOf(path, 'key'));
      found.push({ server, parsed });
    }
  }
  issues.push(...conflicts(found), ...portsOutOf(options.portRange, found));
  if (issues.length > 0) {
    throw new ConfigInvalidError(
      issues.sort((a, b) => compare(a.file, b.file) || a.line - b.line || a.column - b.column),
    );
  }
  return found.map(({ server }) => server).sort((a, b) => compare(a.name, b.name));
}

/** A name or, among the enabled ones, a port that two servers have. */
function conflicts(found: readonly Found[]): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const names = new Map<string, Found>();
  const ports = new Map<number, Found>();
  for (const current of found) {
    const { server, parsed } = current;
    const namesake = names.get(server.name);
    if (namesake !== undefined) {
      const message = `the server ${server.name} is also in ${placeOf(namesake, ['mcp_servers', server.name])}`;
      issues.push(parsed.issue(['mcp_servers', server.name], message, 'give one of them another name', 'key'));
    }
    names.set(server.name, current);
    if (!server.enabled || namesake !== undefined) continue;
    const neighbour = ports.get(server.port);
    if (neighbour !== undefined) {
      const path = ['mcp_servers', server.name, 'port'];
      const place = placeOf(neighbour, ['mcp_servers', neighbour.server.name, 'port']);
      issues.push(
        parsed.issue(
          path,
          `port ${server.port} is also the port of ${neighbour.server.name} in ${place}`,
          'choose another',
        ),
      );
    }
    ports.set(server.port, current);
  }
  return issues;
}

function portsOutOf(range: readonly [number, number] | undefined, found: readonly Found[]): ConfigIssue[] {
  if (range === undefined) return [];
  const [low, high] = range;
  return found
    .filter(({ server }) => server.port < low || server.port > high)
    .map(({ server, parsed }) =>
      parsed.issue(
        ['mcp_servers', server.name, 'port'],
        `port ${server.port} is outside of the profile's range`,
        `choose one from ${low} to ${high}, or change ports.mcp of the profile`,
      ),
    );
}

function placeOf({ parsed }: Found, path: readonly string[]): string {
  const { line, column } = parsed.locate(path, 'key');
  return `${parsed.file}:${line}:${column}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
