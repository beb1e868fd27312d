import { string } from '@oclif/core/flags';
import { askText } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { userArgument } from '../../../entry/cli/user-argument.ts';
import { userCard } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class UserBan extends BaseCommand<typeof UserBan> {
  static override summary = 'Suspend a user and end all their sign-ins';
  static override description =
    'Every session ends at once, and every token with it; nothing is issued until admin users unban. The last active admin ' +
    "can't be suspended.";
  static override examples = ['<%= config.bin %> admin users ban mallory --reason "shared a token"'];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override args = userArgument;
  static override flags = {
    reason: string({ helpValue: '<text>', summary: 'Why; it is kept with the user and in the audit' }),
  };

  protected async execute(): Promise<Artifact> {
    const question = { message: `Why is ${this.args.user} suspended?`, flag: '--reason', command: 'admin:users:ban' };
    const reason = this.flags.reason ?? (await askText(question, this.output.session));
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const people = new UserAdministration(await this.context.database());
    return userCard(await people.ban(await this.context.currentActor(), this.args.user, reason), undefined);
  }
}
