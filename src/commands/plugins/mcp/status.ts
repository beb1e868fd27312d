import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { fleetStatusTable } from '../../../entry/cli/views/fleet.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { NotFoundError } from '../../../lib/shared/errors.ts';

export default class McpStatus extends BaseCommand<typeof McpStatus> {
  static override summary = 'Show how the MCP servers are doing';
  static override examples = [
    '<%= config.bin %> plugins mcp status',
    '<%= config.bin %> plugins mcp status systemprompt',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'supervisor' };
  static override args = {
    server: string({ ignoreStdin: true, description: 'A server; all when none is named' }),
  };

  protected async execute(): Promise<Artifact> {
    const supervisor = await this.context.supervisor();
    const status = await supervisor.status();
    const { fleet } = await import('../../../lib/app/fleet/fleet.ts');
    const { server } = this.args;
    const all = (await fleet(this.context)).filter((entry) => entry.status !== undefined);
    const servers = server === undefined ? all : all.filter(({ config }) => config.name === server);
    if (server !== undefined && servers.length === 0) {
      const { notServed } = await import('../../../lib/app/not-served.ts');
      const refusal = await notServed(this.context, status, server);
      throw refusal ?? new NotFoundError(`There is no MCP server ${server}`, { next: ['plugins mcp list'] });
    }
    return fleetStatusTable(servers);
  }
}
