import { type McpServerConfig, mcpEndpointPath } from '../../domain/mcp/index.ts';

/** An entry of the public MCP registry, as far as an instance's own servers have one (server.schema.json, 2025-12-11). */
export interface ServerJson {
  readonly $schema: string;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly version: string;
  readonly websiteUrl: string;
  readonly remotes: readonly { readonly type: 'streamable-http' | 'sse'; readonly url: string }[];
}

/** The form that the entries have. */
const serverJsonSchema = 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json';

/** Longest description and title of an entry. */
const textMax = 100;

/**
 * What a server's `server.json` says: where it is reached. Of how it runs here nothing is told.
 * @param version of the instance: its servers have none of their own
 */
export function serverJson(
  { name, displayName, description }: Pick<McpServerConfig, 'name' | 'displayName' | 'description'>,
  externalUrl: string,
  version: string,
): ServerJson {
  const url = `${externalUrl}${mcpEndpointPath(name)}`;
  return {
    $schema: serverJsonSchema,
    name: `${namespaceOf(externalUrl)}/${name}`,
    title: shortened(displayName),
    description: shortened(description),
    version,
    websiteUrl: externalUrl,
    remotes: [
      { type: 'streamable-http', url },
      { type: 'sse', url: url.replace(/mcp$/, 'sse') },
    ],
  };
}

/** The host in reverse, as namespaces of the registry are written. */
function namespaceOf(externalUrl: string): string {
  const { hostname } = new URL(externalUrl);
  // Of an address no part is above another.
  if (/^[\d.]+$|^\[/.test(hostname)) return hostname.replaceAll(/[[\]]/g, '').replaceAll(':', '-');
  return hostname.split('.').reverse().join('.');
}

function shortened(text: string): string {
  return text.length <= textMax ? text : `${text.slice(0, textMax - 1)}…`;
}
