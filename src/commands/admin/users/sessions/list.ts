import { boolean, integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { userArgument } from '../../../../entry/cli/user-argument.ts';
import { sessionsTable } from '../../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class UserSessionsList extends BaseCommand<typeof UserSessionsList> {
  static override summary = 'List where a user is signed in';
  static override description = 'The newest first. An admin sees those of everybody, everybody else their own.';
  static override examples = [
    '<%= config.bin %> admin users sessions list ada',
    '<%= config.bin %> admin users sessions list ada --all --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override args = userArgument;
  static override flags = {
    all: boolean({ summary: 'Those that ended too' }),
    limit: integer({ min: 1, max: 500, default: 50, helpValue: '<number>', summary: 'How many at most' }),
  };

  protected async execute(): Promise<Artifact> {
    const { UserAdministration } = await import('../../../../lib/app/access/users.ts');
    const { UserSessions } = await import('../../../../lib/app/access/sessions.ts');
    const database = await this.context.database();
    const actor = await this.context.currentActor();
    const user = await new UserAdministration(database).show(actor, this.args.user);
    const { all, limit } = this.flags;
    return sessionsTable(user, await new UserSessions(database).list(actor, user.id, { all, limit }));
  }
}
