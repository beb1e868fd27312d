import type { McpServerConfig } from '../../domain/mcp/index.ts';
import { mcpAudience, resourceMetadataUrl } from '../identity.ts';
import type { ServiceEndpoint } from '../supervisor/directory.ts';

/** One MCP server in the answer of `GET /api/v1/mcp/registry`. */
export interface RegistryServer {
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly endpoint: string;
  readonly oauth: { readonly required: boolean; readonly scopes: string[]; readonly resource_metadata: string };
  readonly status?: string;
  readonly port?: number;
  readonly instance_id?: string;
}

export interface RegistrySource {
  readonly servers: readonly McpServerConfig[];
  readonly externalUrl: string;
  readonly directory: { endpoint(serviceName: string): ServiceEndpoint | undefined };
}

/**
 * The enabled MCP servers as clients see them.
 * @param details whether to tell how they are doing as well, and to list those that the web does not show
 */
export function registryView(source: RegistrySource, details: boolean): RegistryServer[] {
  return source.servers
    .filter((server) => server.enabled && (details || server.displayInWeb))
    .map((server) => {
      const endpoint = mcpAudience(source.externalUrl, server.name);
      const entry = {
        name: server.name,
        display_name: server.displayName,
        description: server.description,
        endpoint,
        oauth: {
          required: server.oauth.required,
          scopes: [...server.oauth.scopes],
          resource_metadata: resourceMetadataUrl(endpoint),
        },
      };
      if (!details) return entry;
      const running = source.directory.endpoint(`mcp:${server.name}`);
      return running === undefined
        ? { ...entry, status: 'stopped' }
        : { ...entry, status: running.state, port: running.port, instance_id: running.instanceId };
    });
}
