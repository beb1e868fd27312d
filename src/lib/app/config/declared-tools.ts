import { dirname } from 'node:path';
import { listsByUser, type McpServerConfig, type VirtualTarget } from '../../domain/mcp/index.ts';
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
export function undeclaredTools(services: Services, roots: readonly string[]): ConfigIssue[] {
  const known = declaredTools(services, roots);
  return [...namedTools(services)].flatMap(([server, tool, path]) => {
    const tools = known.get(server);
    const at = services.originOf(path);
    if (tools === undefined || tools.has(tool) || at === undefined) return [];
    return [{ ...at, message: `${server} has no tool ${quoted(tool)}`, hint: hintFor(tool, tools) }];
  });
}

/** The tools that a server listed last. */
export interface ListedTools {
  readonly tools: ReadonlySet<string>;
  /** Whether the run that serves now listed them: then it has no others. */
  readonly current: boolean;
}

export interface UnlistedTool extends ConfigIssue {
  /** Whether it is certain that the server has no such tool. */
  readonly certain: boolean;
}

/**
 * The same for servers of which only what they list tells which tools they have. A server that runs may have others than it
 * had when it was last asked, and of one that was never asked nothing is known.
 * @param listed by server, of those that each caller sees the same of; nothing while nobody can say what is on record
 */
export function unlistedTools(
  services: Services,
  roots: readonly string[],
  listed: ReadonlyMap<string, ListedTools> | undefined,
): UnlistedTool[] {
  const declared = declaredTools(services, roots);
  const servers = new Map(services.mcpServers.map((server) => [server.name, server]));
  return [...namedTools(services)].flatMap(([name, tool, path]) => {
    const server = servers.get(name);
    const at = services.originOf(path);
    if (server?.enabled !== true || listsByUser(server) || declared.has(name) || at === undefined) return [];
    const known = listedBy(server, declared, listed ?? new Map());
    if (known === undefined) {
      const why = listed === undefined ? 'what it lists is on record in the database' : 'it has never listed its tools';
      const message = `whether ${name} has a tool ${quoted(tool)} is not known: ${why}`;
      return [{ ...at, message, hint: 'start it, and look again', certain: false }];
    }
    if (known.tools.has(tool)) return [];
    const message = known.current
      ? `${name} has no tool ${quoted(tool)}`
      : `${name} had no tool ${quoted(tool)} when it last listed its tools`;
    return [{ ...at, message, hint: hintFor(tool, known.tools), certain: known.current }];
  });
}

/** What a virtual server offers is what its targets list. */
function listedBy(
  { name, virtual }: McpServerConfig,
  declared: ReadonlyMap<string, ReadonlySet<string>>,
  listed: ReadonlyMap<string, ListedTools>,
): ListedTools | undefined {
  if (virtual === undefined) return listed.get(name);
  const parts = virtual.targets.map(({ server, prefix, tools }): ListedTools | undefined => {
    if (tools !== '*') return { tools: new Set(tools.map(({ as }) => as)), current: true };
    const built = declared.get(server);
    const known = built === undefined ? listed.get(server) : { tools: built, current: true };
    return known && { tools: new Set([...known.tools].map((tool) => prefix + tool)), current: known.current };
  });
  const known = parts.filter((part) => part !== undefined);
  if (known.length < parts.length) return undefined;
  return { tools: new Set(known.flatMap(({ tools }) => [...tools])), current: known.every(({ current }) => current) };
}

function declaredTools(
  { mcpServers }: Pick<Services, 'mcpServers'>,
  roots: readonly string[],
): Map<string, ReadonlySet<string>> {
  const known = new Map<string, ReadonlySet<string>>();
  for (const server of mcpServers) {
    const tools = server.enabled ? toolsOf(server, roots) : undefined;
    if (tools !== undefined) known.set(server.name, tools);
  }
  return known;
}

function hintFor(tool: string, tools: ReadonlySet<string>): string {
  const [meant] = nearest(tool, [...tools], 1);
  if (meant !== undefined) return `did you mean \`${meant}\`?`;
  return tools.size === 0 ? 'it has none' : `it has ${[...tools].slice(0, 10).join(', ')}`;
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
