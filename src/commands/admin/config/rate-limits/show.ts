import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { limitsTable } from '../../../../entry/cli/views/rate-limits.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ShowRateLimits extends BaseCommand<typeof ShowRateLimits> {
  static override summary = 'Show how much one caller may ask';
  static override description = 'Requests per second for each group of endpoints and each kind of caller.';
  static override examples = [
    '<%= config.bin %> admin config rate-limits show',
    '<%= config.bin %> admin config rate-limits show --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    return limitsTable((await this.context.profile()).rate_limits);
  }
}
