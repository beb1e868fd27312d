import { integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { roleOptions } from '../../../entry/cli/user-argument.ts';
import { usersTable } from '../../../entry/cli/views/users.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import type { Permission } from '../../../lib/shared/permission.ts';

export default class UserList extends BaseCommand<typeof UserList> {
  static override summary = 'List the users';
  static override description = 'By name. Deleted ones are listed with --status deleted only.';
  static override examples = [
    '<%= config.bin %> admin users list',
    '<%= config.bin %> admin users list --role admin --status active',
    '<%= config.bin %> admin users list --search ada --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override flags = {
    role: string({ options: roleOptions, summary: 'Users with this role' }),
    status: string({ options: ['active', 'suspended', 'deleted'], summary: 'Users of this status' }),
    kind: string({ options: ['person', 'service'], summary: 'People, or service accounts' }),
    search: string({ helpValue: '<text>', summary: 'Part of name, shown name or mail address' }),
    limit: integer({ min: 1, max: 500, default: 50, helpValue: '<number>', summary: 'How many at most' }),
    cursor: string({ helpValue: '<cursor>', summary: 'Go on where the list before ended' }),
  };

  protected async execute(): Promise<Artifact> {
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const { role, status, kind, search, limit, cursor } = this.flags;
    const people = new UserAdministration(await this.context.database());
    const { users, count } = await people.list(await this.context.currentActor(), {
      role: role as Permission | undefined,
      status: status as 'active' | 'suspended' | 'deleted' | undefined,
      kind: kind as 'person' | 'service' | undefined,
      search,
      after: cursor,
      limit: limit + 1,
    });
    const shown = users.slice(0, limit);
    return usersTable(shown, count, users.length > limit ? shown.at(-1)?.name : undefined);
  }
}
