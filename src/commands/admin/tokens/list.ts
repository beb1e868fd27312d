import { boolean, integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { personalTokens } from '../../../entry/cli/personal-tokens.ts';
import { tokensTable } from '../../../entry/cli/views/tokens.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class TokenList extends BaseCommand<typeof TokenList> {
  static override summary = 'List personal access tokens';
  static override description = 'An admin sees those of everybody, everybody else their own. None is ever shown again.';
  static override examples = [
    '<%= config.bin %> admin tokens list',
    '<%= config.bin %> admin tokens list --user nightly-build --all',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override flags = {
    user: string({ helpValue: '<user>', summary: 'Tokens of this user: id, name or address' }),
    all: boolean({ summary: 'Those that ended too' }),
    limit: integer({ min: 1, max: 500, default: 50, helpValue: '<number>', summary: 'How many at most' }),
  };

  protected async execute(): Promise<Artifact> {
    const { user: handle, all, limit } = this.flags;
    const tokens = await personalTokens(this.context);
    const actor = await this.context.currentActor();
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const people = new UserAdministration(await this.context.database());
    const user = handle === undefined ? undefined : await people.show(actor, handle);
    const found = await tokens.list(actor, user?.id, { all, limit });
    const names = new Map<string, string>();
    for (const id of new Set(found.map(({ userId }) => userId))) names.set(id, (await people.show(actor, id)).name);
    return tokensTable(found, names);
  }
}
