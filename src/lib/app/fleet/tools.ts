import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { FleetFacts, FleetTool } from './facts.ts';

/** The tools of a server as they are known: of a virtual one those of its targets under their names here, the first of a name. */
export function toolsOfServer(
  { name, virtual }: Pick<McpServerConfig, 'name' | 'virtual'>,
  known: FleetFacts['tools'] | undefined,
): readonly FleetTool[] | undefined {
  if (virtual === undefined || known === undefined) return known?.get(name);
  const offered = new Map<string, FleetTool>();
  for (const { server, prefix, tools } of virtual.targets) {
    const there = known.get(server) ?? [];
    const chosen: readonly { tool: string; as: string; description?: string }[] =
      tools === '*' ? there.map((tool) => ({ tool: tool.name, as: prefix + tool.name })) : tools;
    for (const { tool, as, description } of chosen) {
      const found = there.find((one) => one.name === tool);
      if (found === undefined || offered.has(as)) continue;
      offered.set(as, { ...found, name: as, description: description ?? found.description });
    }
  }
  return [...offered.values()];
}
