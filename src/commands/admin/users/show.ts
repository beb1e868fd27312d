import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { userArgument } from '../../../entry/cli/user-argument.ts';
import { userCard } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class UserShow extends BaseCommand<typeof UserShow> {
  static override summary = 'Show a user, and where they are signed in';
  static override description = 'An admin sees everybody, everybody else themselves.';
  static override examples = [
    '<%= config.bin %> admin users show ada',
    '<%= config.bin %> admin users show ada@example.com --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override args = userArgument;

  protected async execute(): Promise<Artifact> {
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const { UserSessions } = await import('../../../lib/app/access/sessions.ts');
    const database = await this.context.database();
    const actor = await this.context.currentActor();
    const user = await new UserAdministration(database).show(actor, this.args.user);
    return userCard(user, await new UserSessions(database).list(actor, user.id, { limit: 20 }));
  }
}
