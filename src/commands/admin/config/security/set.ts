import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { changed } from '../../../../entry/cli/config-change.ts';
import { changesOf } from '../../../../entry/cli/config-section.ts';
import { duration } from '../../../../entry/cli/flags.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class SetSecurity extends BaseCommand<typeof SetSecurity> {
  static override summary = 'Change how tokens are issued';
  static override description = 'With another issuer the tokens that were issued before are no longer taken.';
  static override examples = ['<%= config.bin %> admin config security set --access-token-ttl 15m --dry-run'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override flags = {
    issuer: string({ helpValue: '<url>', summary: 'The iss of the tokens' }),
    'access-token-ttl': duration({ max: 86_400, summary: 'How long an access token lives' }),
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    const changes = changesOf(this.flags, {
      issuer: ['security', 'issuer'],
      'access-token-ttl': ['security', 'access_token_ttl_seconds'],
    });
    return await changed(this.context, this.output, changes, this.flags['dry-run'] === true);
  }
}
