import { string as argument } from '@oclif/core/args';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { tierNames, tierTable } from '../../../../entry/cli/views/rate-limits.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ShowTier extends BaseCommand<typeof ShowTier> {
  static override summary = 'Show the rate limits of one kind of caller';
  static override examples = ['<%= config.bin %> admin config rate-limits tier anon'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override args = {
    tier: argument({ required: true, ignoreStdin: true, options: tierNames, description: 'Kind of caller' }),
  };

  protected async execute(): Promise<Artifact> {
    return tierTable((await this.context.profile()).rate_limits, this.args.tier as (typeof tierNames)[number]);
  }
}
