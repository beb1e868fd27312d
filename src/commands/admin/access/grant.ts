import { string } from '@oclif/core/flags';
import { scopeFlags, subjectFlags } from '../../../entry/cli/access-flags.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { grantsTable } from '../../../entry/cli/views/access.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class AccessGrant extends BaseCommand<typeof AccessGrant> {
  static override summary = 'Grant scopes of an MCP server';
  static override description =
    'To a user, a role, an agent or a client. Scopes with a name of their own, such as tools:write; tiers come with roles (admin users role). What is granted already ' +
    'stays as it is.';
  static override examples = [
    '<%= config.bin %> admin access grant --user ada --server notes --scope notes:write',
    '<%= config.bin %> admin access grant --role service --server notes --tool notes_delete',
    '<%= config.bin %> admin access grant --client claude-code --server notes --scope notes:write',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override flags = {
    ...subjectFlags,
    server: string({ required: true, helpValue: '<name>', summary: 'The MCP server' }),
    ...scopeFlags,
  };

  protected async execute(): Promise<Artifact> {
    const { AccessGrants } = await import('../../../lib/app/access/grants.ts');
    const { scope: scopes, tool, server, user, role, agent, client } = this.flags;
    const access = new AccessGrants(await this.context.database(), await this.context.mcpServers());
    const actor = await this.context.currentActor();
    const { grants, added } = await access.grant(actor, { user, role, agent, client, server, scopes, tool });
    const title =
      added === grants.length ? 'Granted' : added === 0 ? 'Granted already' : `Granted, ${added} of them new`;
    return grantsTable(grants, title);
  }
}
