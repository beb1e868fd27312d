import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { changedWhenConfirmed } from '../../../entry/cli/config-change.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpRemove extends BaseCommand<typeof McpRemove> {
  static override summary = 'Take an MCP server out of the configuration';
  static override description =
    'What still names it (a virtual server, an agent, a skill) is told, and nothing is written then. Its secrets, its ' +
    'tables and what the audit has of it stay.';
  static override examples = ['<%= config.bin %> plugins mcp remove files --dry-run'];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
  };
  static override flags = {
    yes: boolean({ char: 'y', summary: 'Take it out without asking' }),
    'dry-run': boolean({ summary: 'Only check it and show what would go' }),
  };

  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { server } = this.args;
    const { unknownServer } = await import('../../../lib/app/identity.ts');
    if (!(await this.context.mcpServers()).some(({ name }) => name === server)) throw unknownServer(server);
    const changes = [{ path: ['mcp_servers', server], unset: true }] as const;
    return await changedWhenConfirmed(this.context, this.output, changes, { id: this.ctor.id, flags: this.flags });
  }
}
