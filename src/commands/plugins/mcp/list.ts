import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { fleetTable } from '../../../entry/cli/views/fleet.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpList extends BaseCommand<typeof McpList> {
  static override summary = 'List the MCP servers that are configured';
  static override description = 'All kinds in one list, with state and number of tools.';
  static override examples = ['<%= config.bin %> plugins mcp list', '<%= config.bin %> plugins mcp list --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const { fleet } = await import('../../../lib/app/fleet/fleet.ts');
    return fleetTable(await fleet(this.context));
  }
}
