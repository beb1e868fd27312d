import type { Catalogue, CatalogueTool, McpServerConfig, RawTool } from '../../domain/mcp/index.ts';

/** A tool of a target as a virtual server offers it. */
export interface OfferedTool {
  /** Its name here. */
  readonly as: string;
  readonly target: string;
  /** Its name there. */
  readonly tool: string;
  readonly description: string | undefined;
  /** What is known of it; absent while its server was never asked. */
  readonly known: CatalogueTool | undefined;
}

/** As much of the catalogue as says which tools there are. */
interface KnownTools extends Pick<Catalogue, 'find'> {
  tools(server: string, user?: string): readonly { readonly name: string }[];
}

/**
 * All that a virtual server offers to a user, in the order of its targets. Of two tools of one name the first counts, so
 * that a target can't take the place of one that was named before it.
 */
export function offeredTools(config: McpServerConfig, catalogue: KnownTools, user: string): Map<string, OfferedTool> {
  const offered = new Map<string, OfferedTool>();
  for (const { server, prefix, tools } of config.virtual?.targets ?? []) {
    const chosen =
      tools === '*' ? catalogue.tools(server, user).map(({ name }) => ({ tool: name, as: prefix + name })) : tools;
    for (const { tool, as, ...more } of chosen) {
      if (offered.has(as)) continue;
      const description = 'description' in more ? more.description : undefined;
      offered.set(as, { as, target: server, tool, description, known: catalogue.find(server, tool, user) });
    }
  }
  return offered;
}

/** The tool that goes by this name here; nothing for none. */
export function offeredTool(
  config: McpServerConfig,
  catalogue: KnownTools,
  name: string,
  user: string,
): OfferedTool | undefined {
  const offered = offeredTools(config, catalogue, user).get(name);
  if (offered !== undefined) return offered;
  // Of a target whose list nobody has seen yet everything may be there: it is for the target to say.
  for (const { server, prefix, tools } of config.virtual?.targets ?? []) {
    if (tools !== '*' || !name.startsWith(prefix) || catalogue.tools(server, user).length > 0) continue;
    return { as: name, target: server, tool: name.slice(prefix.length), description: undefined, known: undefined };
  }
  return undefined;
}

/** The tool as it stands in a list of the virtual server. What belongs to resources of its own server is left out. */
export function asListed({ as, known, description }: OfferedTool): RawTool {
  const { _meta, ...definition } = known?.definition ?? {};
  return { ...definition, name: as, ...(description === undefined ? {} : { description }) };
}
