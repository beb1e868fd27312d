import { join } from 'node:path';
import { mcpFileSchema } from '../../domain/mcp/index.ts';
import { parseYamlFile, yamlFilesIn } from '../../infra/config/yaml.ts';
import type { ConfigIssue } from '../../shared/errors.ts';

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** A server of services/mcp/, as far as building its module needs it. */
export interface ConfiguredServer {
  readonly name: string;
  readonly nameAt: Place;
  readonly module: string;
  readonly moduleAt: Place;
  readonly enabled: boolean;
  /** Tools of which the configuration says something, and where. */
  readonly tools: readonly { readonly name: string; readonly at: Place }[];
}

/** The servers that a project configures; none where it has no `services/` of its own. */
export async function configuredServers(
  servicesDir: string,
): Promise<{ readonly servers: readonly ConfiguredServer[]; readonly issues: readonly ConfigIssue[] }> {
  const servers: ConfiguredServer[] = [];
  const issues: ConfigIssue[] = [];
  for (const path of await yamlFilesIn(join(servicesDir, 'mcp'))) {
    const parsed = await parseYamlFile(path, mcpFileSchema);
    if ('issues' in parsed) {
      issues.push(...parsed.issues);
      continue;
    }
    const { file } = parsed;
    for (const [name, server] of Object.entries(parsed.value.mcp_servers)) {
      const own = ['mcp_servers', name];
      servers.push({
        name,
        nameAt: { file, ...parsed.locate(own, 'key') },
        module: server.module ?? server.binary ?? '',
        moduleAt: { file, ...parsed.locate([...own, server.module === undefined ? 'binary' : 'module']) },
        enabled: server.enabled,
        tools: Object.keys(server.tools).map((tool) => ({
          name: tool,
          at: { file, ...parsed.locate([...own, 'tools', tool], 'key') },
        })),
      });
    }
  }
  return { servers, issues };
}
