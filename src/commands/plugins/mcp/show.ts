import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { fleetCard } from '../../../entry/cli/views/fleet.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpShow extends BaseCommand<typeof McpShow> {
  static override summary = 'Show everything that is known of one MCP server';
  static override description =
    'Its address and what runs behind it, state, sign-in, tools, tables, limits, and the names of its variables; values are never shown.';
  static override examples = ['<%= config.bin %> plugins mcp show systemprompt'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'profile' };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
  };

  protected async execute(): Promise<Artifact> {
    const { fleet } = await import('../../../lib/app/fleet/fleet.ts');
    const { unknownServer } = await import('../../../lib/app/identity.ts');
    const { server: name } = this.args;
    const found = (await fleet(this.context)).find(({ config }) => config.name === name);
    if (found === undefined) throw unknownServer(name);
    return fleetCard(found);
  }
}
