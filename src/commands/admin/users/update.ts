import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { userArgument } from '../../../entry/cli/user-argument.ts';
import { userCard } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class UserUpdate extends BaseCommand<typeof UserUpdate> {
  static override summary = "Change a user's name, shown name or mail address";
  static override description = 'Another address counts as not confirmed until a link that was sent there is used.';
  static override examples = [
    '<%= config.bin %> admin users update ada --display-name "Countess of Lovelace"',
    '<%= config.bin %> admin users update ada --email ada@example.org',
    '<%= config.bin %> admin users update ada --no-email',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override args = userArgument;
  static override flags = {
    name: string({
      helpValue: '<name>',
      summary: 'Another name; the audit keeps the old one for what was done before',
    }),
    'display-name': string({ helpValue: '<text>', summary: 'How the user is called' }),
    email: string({ helpValue: '<address>', exclusive: ['no-email'], summary: 'Mail address' }),
    'no-email': boolean({ summary: 'Remove the mail address' }),
  };

  protected async execute(): Promise<Artifact> {
    const { name, email, 'display-name': displayName, 'no-email': none } = this.flags;
    if (name === undefined && email === undefined && displayName === undefined && !none) {
      throw new UsageError('Nothing to change', { hint: 'Give --name, --display-name, --email or --no-email.' });
    }
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const people = new UserAdministration(await this.context.database());
    const change = { name, displayName, email: none ? null : email };
    return userCard(await people.update(await this.context.currentActor(), this.args.user, change), undefined);
  }
}
