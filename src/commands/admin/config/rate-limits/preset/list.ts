import { BaseCommand } from '../../../../../entry/cli/base-command.ts';
import { presetsList } from '../../../../../entry/cli/views/rate-limits.ts';
import type { Artifact } from '../../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../../lib/shared/command.ts';

export default class ListPresets extends BaseCommand<typeof ListPresets> {
  static override summary = 'List ready-made sets of rate limits';
  static override examples = ['<%= config.bin %> admin config rate-limits preset list'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    return presetsList((await this.context.profile()).rate_limits);
  }
}
