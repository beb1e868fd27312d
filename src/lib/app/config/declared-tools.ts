import { dirname } from 'node:path';
import type { McpServerConfig, VirtualTarget } from '../../domain/mcp/index.ts';
import { quoted } from '../../infra/config/quoted.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { readArtifactRecord } from '../build/artifact-file.ts';
import { findModule } from '../supervisor/module-path.ts';
import type { ConfigPath, ServicesConfiguration } from './types.ts';

type Services = Pick<ServicesConfiguration, 'mcpServers' | 'agents' | 'originOf'>;

/**
 * Tools that the configuration names and that their server has not: under `tools` of the server, in a virtual one, and for
 * an agent. What a server has is known of modules that `build mcp` has built, and of virtual servers that list their tools.
 * @param roots the project's folder and the package's
 */
export function undeclaredTools({ mcpServers, agents, originOf }: Services, roots: readonly string[]): ConfigIssue[] {
  const known = new Map<string, ReadonlySet<string>>();
  for (const server of mcpServers) {
    const tools = server.enabled ? toolsOf(server, roots) : undefined;
    if (tools !== undefined) known.set(server.name, tools);
  }
  return [...namedTools({ mcpServers, agents })].flatMap(([server, tool, path]) => {
    const tools = known.get(server);
    const at = originOf(path);
    if (tools === undefined || tools.has(tool) || at === undefined) return [];
    const [meant] = nearest(tool, [...tools], 1);
    const hint = meant === undefined ? `it has ${[...tools].slice(0, 10).join(', ')}` : `did you mean \`${meant}\`?`;
    return [{ ...at, message: `${server} has no tool ${quoted(tool)}`, hint }];
  });
}

/** Every tool that is named, with its server and the place. */
function* namedTools({
  mcpServers,
  agents,
}: Pick<Services, 'mcpServers' | 'agents'>): Generator<readonly [string, string, ConfigPath]> {
  for (const { name, tools, virtual, enabled } of mcpServers) {
    for (const tool of tools.keys()) yield [name, tool, ['mcp_servers', name, 'tools', tool]];
    if (enabled && virtual !== undefined) yield* targetedTools(name, virtual.targets);
  }
  for (const { name, metadata } of agents) {
    for (const [server, tools] of Object.entries(metadata.tool_model_overrides)) {
      for (const tool of Object.keys(tools)) {
        yield [server, tool, ['agents', name, 'metadata', 'tool_model_overrides', server, tool]];
      }
    }
  }
}

function* targetedTools(
  name: string,
  targets: readonly VirtualTarget[],
): Generator<readonly [string, string, ConfigPath]> {
  for (const [index, { server, tools }] of targets.entries()) {
    if (tools === '*') continue;
    for (const [position, { tool }] of tools.entries()) {
      yield [server, tool, ['mcp_servers', name, 'targets', index, 'tools', position]];
    }
  }
}

/** The tools of a server, as far as they can be told without starting it. */
function toolsOf({ module, virtual }: McpServerConfig, roots: readonly string[]): ReadonlySet<string> | undefined {
  if (virtual !== undefined) {
    const lists = virtual.targets.map(({ tools }) => tools);
    if (lists.includes('*')) return undefined;
    return new Set(lists.flatMap((tools) => (tools === '*' ? [] : tools.map(({ as }) => as))));
  }
  const file = module === '' ? undefined : findModule(roots, module);
  const record = file === undefined ? undefined : readArtifactRecord(dirname(file));
  return record === undefined ? undefined : new Set(record.server.tools);
}
