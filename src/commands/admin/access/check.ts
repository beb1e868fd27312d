import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { decisionCard } from '../../../entry/cli/views/access.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class AccessCheck extends BaseCommand<typeof AccessCheck> {
  static override summary = 'Explain whether a user may call a tool, and why';
  static override description =
    'Says which scopes server and tool demand, with the line that demands them, and where each comes from: a role, a scope ' +
    'that is open, or a grant; or the command that would give it; for a virtual server those of the server behind it as well. The decision is made by what decides calls, for a token ' +
    'with all that may be had. Users may ask for themselves, an admin for everybody.';
  static override examples = [
    '<%= config.bin %> admin access check --user ada --server notes --tool notes_delete',
    '<%= config.bin %> admin access check --user ada --server notes --client claude-code --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override flags = {
    user: string({ required: true, helpValue: '<user>', summary: 'Id, name or mail address' }),
    server: string({ required: true, helpValue: '<name>', summary: 'The MCP server' }),
    tool: string({ helpValue: '<name>', summary: 'One of its tools; without it what every caller needs' }),
    client: string({ helpValue: '<id>', summary: 'The client that the user calls with' }),
  };

  protected async execute(): Promise<Artifact> {
    const { checkAccess } = await import('../../../lib/app/access/checker.ts');
    const { loadServices } = await import('../../../lib/app/config/load-services.ts');
    const configuration = await loadServices(await this.context.instance());
    const decision = await checkAccess(await this.context.currentActor(), this.flags, {
      database: await this.context.database(),
      servers: configuration.mcpServers,
      configuration,
    });
    return decisionCard(decision, (command) => this.output.runnable(command));
  }
}
