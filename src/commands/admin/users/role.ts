import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { roleOptions, userArgument } from '../../../entry/cli/user-argument.ts';
import { userCard } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';
import type { Permission } from '../../../lib/shared/permission.ts';

export default class UserRole extends BaseCommand<typeof UserRole> {
  static override summary = 'Give roles to a user, and take them away';
  static override description =
    'A role implies those below it: admin, user, service, a2a, mcp, anonymous. Tokens from before are refused when a role ' +
    'is taken away. The last active admin keeps the role.';
  static override examples = [
    '<%= config.bin %> admin users role ada --add admin',
    '<%= config.bin %> admin users role ada --remove admin --add user',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override args = userArgument;
  static override flags = {
    add: string({ options: roleOptions, multiple: true, multipleNonGreedy: true, summary: 'A role to give' }),
    remove: string({ options: roleOptions, multiple: true, multipleNonGreedy: true, summary: 'A role to take away' }),
  };

  protected async execute(): Promise<Artifact> {
    const { add = [], remove = [] } = this.flags;
    if (add.length + remove.length === 0) {
      throw new UsageError('Nothing to change', { hint: 'Give --add or --remove with a role.' });
    }
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const people = new UserAdministration(await this.context.database());
    const change = { add: add as Permission[], remove: remove as Permission[] };
    return userCard(await people.changeRoles(await this.context.currentActor(), this.args.user, change), undefined);
  }
}
