import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { userArgument } from '../../../entry/cli/user-argument.ts';
import { userCard } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class UserUnban extends BaseCommand<typeof UserUnban> {
  static override summary = 'Let a suspended user in again';
  static override description = 'They sign in anew: what was ended stays ended.';
  static override examples = ['<%= config.bin %> admin users unban mallory'];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override args = userArgument;

  protected async execute(): Promise<Artifact> {
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const people = new UserAdministration(await this.context.database());
    return userCard(await people.unban(await this.context.currentActor(), this.args.user), undefined);
  }
}
