import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { userArgument } from '../../../../entry/cli/user-argument.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';
import { NotFoundError, UsageError } from '../../../../lib/shared/errors.ts';
import type { SessionId } from '../../../../lib/shared/ids.ts';

export default class UserSessionsRevoke extends BaseCommand<typeof UserSessionsRevoke> {
  static override summary = 'End one sign-in of a user, or all of them';
  static override description =
    'Its tokens are refused by every process as soon as the database has announced it, those that are renewed too.';
  static override examples = [
    '<%= config.bin %> admin users sessions revoke ada 0b8f7c1e-6a53-4a53-9c39-0d9c8f6f8a11',
    '<%= config.bin %> admin users sessions revoke ada --all',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'user', needs: 'database' };
  static override args = {
    ...userArgument,
    session: argument({ ignoreStdin: true, description: 'Id of the sign-in, from admin users sessions list' }),
  };
  static override flags = { all: boolean({ summary: 'All that are active' }) };

  protected async execute(): Promise<Artifact> {
    const { session } = this.args;
    if ((session === undefined) !== (this.flags.all === true)) {
      throw new UsageError('Which sign-in? Give its id, or --all', { next: ['admin users sessions list --help'] });
    }
    const { UserAdministration } = await import('../../../../lib/app/access/users.ts');
    const { UserSessions } = await import('../../../../lib/app/access/sessions.ts');
    const database = await this.context.database();
    const actor = await this.context.currentActor();
    const user = await new UserAdministration(database).show(actor, this.args.user);
    if (session !== undefined && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(session)) {
      throw new NotFoundError(`${user.name} has no sign-in ${session.slice(0, 80)}`);
    }
    const which = (session as SessionId | undefined) ?? 'all';
    const ended = await new UserSessions(database).end(actor, user.id, which);
    const what = ended.length === 1 ? 'One sign-in' : `${ended.length} sign-ins`;
    return { type: 'text', content: `${what} of ${user.name} ended.`, data: { user: user.id, ended } };
  }
}
