import { string as argument } from '@oclif/core/args';
import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { duration } from '../../../entry/cli/flags.ts';
import { personalTokens } from '../../../entry/cli/personal-tokens.ts';
import { tokenFacts } from '../../../entry/cli/views/tokens.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

export default class TokenCreate extends BaseCommand<typeof TokenCreate> {
  static override summary = 'Make a personal access token for a program';
  static override description =
    'It is shown this once. It opens one resource, with scopes that its user may have, for 30 days unless told; what the user ' +
    'loses, the token loses too. An admin makes them for others, service accounts above all.';
  static override examples = [
    '<%= config.bin %> admin tokens create laptop --server notes',
    '<%= config.bin %> admin tokens create nightly --user nightly-build --server notes --scope notes:write --expires 90d',
    '<%= config.bin %> admin tokens create script --scope user --expires 1d',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'user',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    name: argument({ required: true, ignoreStdin: true, description: 'What it is for, to tell it from others' }),
  };
  static override flags = {
    server: string({ helpValue: '<name>', summary: 'The MCP server that takes it; the instance itself without it' }),
    scope: string({
      helpValue: '<scope>',
      multiple: true,
      multipleNonGreedy: true,
      summary: 'A scope, may be repeated; without it what the server gives by default',
    }),
    expires: duration({ summary: 'How long it is good: 12h, 90d' }),
    user: string({ helpValue: '<user>', summary: 'For whom: id, name or address; yourself without it' }),
  };

  protected async execute(): Promise<Artifact> {
    const { server, scope: scopes, expires: ttlSeconds, user } = this.flags;
    const tokens = await personalTokens(this.context);
    const actor = await this.context.currentActor();
    const { UserAdministration } = await import('../../../lib/app/access/users.ts');
    const people = new UserAdministration(await this.context.database());
    const owner = await people.show(actor, user ?? actor.userId);
    const made = await tokens.create(actor, { userId: owner.id, name: this.args.name, server, scopes, ttlSeconds });
    const until = formatDate(made.expiresAt.toISOString());
    return {
      type: 'copy_paste_text',
      title: `Token ${made.name} of ${owner.name} for ${made.audience} (${made.scopes.join(', ')}), good until ${until}; shown this once`,
      content: made.token,
      data: tokenFacts(made),
    };
  }
}
