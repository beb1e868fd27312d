import { string as argument } from '@oclif/core/args';
import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { roleOptions } from '../../../entry/cli/user-argument.ts';
import { userCard } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import type { Permission } from '../../../lib/shared/permission.ts';

export default class UserCreate extends BaseCommand<typeof UserCreate> {
  static override summary = 'Add a user or a service account';
  static override description =
    'A person gets the role user unless told, a service account the role service. The mail address is where links to sign in ' +
    'go; it is stored normalised, and no two users have the same.';
  static override examples = [
    '<%= config.bin %> admin users create ada --email ada@example.com --display-name "Ada Lovelace"',
    '<%= config.bin %> admin users create nightly-build --service',
    '<%= config.bin %> admin users create grace --role admin --role user',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override args = {
    name: argument({
      required: true,
      ignoreStdin: true,
      description: 'Lower-case letters, digits, dots, dashes and underscores',
    }),
  };
  static override flags = {
    email: string({ helpValue: '<address>', summary: 'Mail address' }),
    'display-name': string({ helpValue: '<text>', summary: 'How the user is called; the name without it' }),
    role: string({ options: roleOptions, multiple: true, multipleNonGreedy: true, summary: 'A role, may be repeated' }),
    service: boolean({ summary: 'A service account: a program, which signs in with secrets or tokens' }),
  };

  protected async execute(): Promise<Artifact> {
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const { email, role, service } = this.flags;
    const people = new UserAdministration(await this.context.database());
    const user = await people.create(await this.context.currentActor(), {
      name: this.args.name,
      email,
      displayName: this.flags['display-name'],
      roles: role as Permission[] | undefined,
      kind: service ? 'service' : 'person',
    });
    if (service) return userCard(user, undefined);
    const command = this.output.runnable(`admin users link ${user.name}`);
    return userCard(user, undefined, { heading: 'A link to make a passkey with', command });
  }
}
