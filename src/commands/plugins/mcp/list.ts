import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpList extends BaseCommand<typeof McpList> {
  static override summary = 'List the MCP servers that are configured';
  static override examples = ['<%= config.bin %> plugins mcp list', '<%= config.bin %> plugins mcp list --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const { mcpEndpointPath } = await import('../../../lib/domain/mcp/index.ts');
    const servers = await this.context.mcpServers();
    const running = await this.context.runningStatus();
    const url = await this.context.externalUrl();
    return {
      type: 'table',
      columns: [
        { name: 'name', label: 'SERVER', column_type: 'string' },
        { name: 'enabled', column_type: 'boolean' },
        { name: 'state', column_type: 'string' },
        { name: 'scopes', column_type: 'string' },
        { name: 'url', column_type: 'link' },
        { name: 'description', column_type: 'string' },
      ],
      items: servers.map((server) => ({
        name: server.name,
        enabled: server.enabled,
        state: running?.services.find(({ name }) => name === `mcp:${server.name}`)?.state ?? 'not running',
        scopes: server.oauth.scopes.join(' '),
        url: `${url}${mcpEndpointPath(server.name)}`,
        description: server.description,
      })),
      count: servers.length,
      empty: 'No MCP servers found.',
    };
  }
}
