import { string as argument } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

export default class UserLink extends BaseCommand<typeof UserLink> {
  static override summary = 'Make a link for a user to make a passkey with';
  static override description =
    'For the first passkey of a user, and for who has lost all of them. The link works once, for a day, and until a newer ' +
    'one is made; whoever opens it is that user. Without a name it is for the owner of the instance.';
  static override examples = ['<%= config.bin %> admin users link', '<%= config.bin %> admin users link ada'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    user: argument({ ignoreStdin: true, description: 'Id, name or mail address; the owner when none is named' }),
  };

  protected async execute(): Promise<Artifact> {
    const { linkForUser } = await import('../../../lib/app/people/link-for-user.ts');
    const { link, user } = await linkForUser(await this.context.database(), {
      actor: await this.context.currentActor(),
      externalUrl: await this.context.externalUrl(),
      handle: this.args.user,
    });
    return {
      type: 'presentation_card',
      title: link.purpose === 'setup' ? `The first passkey of ${user}` : `Another passkey for ${user}`,
      sections: [
        { heading: 'Open this in the browser that is to have the passkey', content: `  ${link.url}` },
        { heading: 'Expires', content: formatDate(link.expiresAt.toISOString()) },
      ],
      data: { user, purpose: link.purpose, url: link.url, expires_at: link.expiresAt.toISOString() },
    };
  }
}
