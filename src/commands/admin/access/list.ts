import { boolean, integer, string } from '@oclif/core/flags';
import { subjectFlags } from '../../../entry/cli/access-flags.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { grantsTable } from '../../../entry/cli/views/access.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class AccessList extends BaseCommand<typeof AccessList> {
  static override summary = 'List what was granted, to whom and by whom';
  static override description = 'Beyond the tiers that roles imply, and the scopes that a server opens to everyone.';
  static override examples = [
    '<%= config.bin %> admin access list',
    '<%= config.bin %> admin access list --user ada --all',
    '<%= config.bin %> admin access list --server notes --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override flags = {
    ...subjectFlags,
    server: string({ helpValue: '<name>', summary: 'Grants at this MCP server' }),
    all: boolean({ summary: 'Revoked ones too' }),
    limit: integer({ min: 1, max: 5000, default: 500, helpValue: '<number>', summary: 'How many at most' }),
  };

  protected async execute(): Promise<Artifact> {
    const { AccessGrants } = await import('../../../lib/app/access/grants.ts');
    const { user, role, agent, client, server, all, limit } = this.flags;
    const access = new AccessGrants(await this.context.database(), []);
    const actor = await this.context.currentActor();
    return grantsTable(await access.list(actor, { user, role, agent, client, server, all, limit }));
  }
}
