import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { userArgument } from '../../../entry/cli/user-argument.ts';
import { userFacts } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class UserDelete extends BaseCommand<typeof UserDelete> {
  static override summary = 'Delete a user for good';
  static override description =
    'Name, mail address, passkeys, tokens and linked sign-ins are erased, sessions end and grants are revoked. The id stays: the ' +
    'audit names it. Name and address are free again. To keep somebody out for a while, use admin users ban.';
  static override examples = ['<%= config.bin %> admin users delete ada --yes'];
  static override declaration: CommandDeclaration = { effect: 'destructive', permission: 'admin', needs: 'database' };
  static override args = userArgument;
  static override flags = { yes: boolean({ char: 'y', summary: 'Delete the user without asking' }) };

  protected async execute(): Promise<Artifact> {
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const people = new UserAdministration(await this.context.database());
    const { user, name } = await people.erase(await this.context.currentActor(), this.args.user);
    return { type: 'text', content: `Deleted ${name}. The audit knows them as ${user.id}.`, data: userFacts(user) };
  }
}
