import { string as argument } from '@oclif/core/args';
import { string } from '@oclif/core/flags';
import { scopeFlags, subjectFlags } from '../../../entry/cli/access-flags.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { grantsTable } from '../../../entry/cli/views/access.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class AccessRevoke extends BaseCommand<typeof AccessRevoke> {
  static override summary = 'Take grants back';
  static override description =
    'By the id of a grant, or by what it gives; without --scope and --tool all of that subject at that server. Tokens from ' +
    'before are refused: a client renews them and gets what is left.';
  static override examples = [
    '<%= config.bin %> admin access revoke 0b8f7c1e-6a53-4a53-9c39-0d9c8f6f8a11',
    '<%= config.bin %> admin access revoke --user ada --server notes --scope notes:write',
    '<%= config.bin %> admin access revoke --client claude-code --server notes',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override args = {
    grant: argument({ ignoreStdin: true, description: 'Id of the grant, from admin access list' }),
  };
  static override flags = {
    ...subjectFlags,
    server: string({ helpValue: '<name>', summary: 'The MCP server' }),
    ...scopeFlags,
  };

  protected async execute(): Promise<Artifact> {
    const { scope: scopes, tool, server, user, role, agent, client } = this.flags;
    const { grant } = this.args;
    const named = [user, role, agent, client, server, scopes, tool].some((value) => value !== undefined);
    if ((grant === undefined) !== named || (named && server === undefined)) {
      throw new UsageError('Which grant? Give its id, or --server and to whom it was granted', {
        next: ['admin access list'],
      });
    }
    const { AccessGrants } = await import('../../../lib/app/access/grants.ts');
    const access = new AccessGrants(await this.context.database(), await this.context.mcpServers());
    const request =
      grant === undefined ? { user, role, agent, client, server: server ?? '', scopes, tool } : { id: grant };
    return grantsTable(await access.revoke(await this.context.currentActor(), request), 'Revoked');
  }
}
