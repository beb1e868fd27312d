import { string as argument } from '@oclif/core/args';
import { BaseCommand } from '../../../../../entry/cli/base-command.ts';
import { presetNames, presetTable } from '../../../../../entry/cli/views/rate-limits.ts';
import type { Artifact } from '../../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../../lib/shared/command.ts';

export default class ShowPreset extends BaseCommand<typeof ShowPreset> {
  static override summary = 'Show a preset beside what holds now';
  static override examples = ['<%= config.bin %> admin config rate-limits preset show high-traffic'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override args = {
    name: argument({ required: true, ignoreStdin: true, options: presetNames, description: 'Name of the preset' }),
  };

  protected async execute(): Promise<Artifact> {
    return presetTable((await this.context.profile()).rate_limits, this.args.name as (typeof presetNames)[number]);
  }
}
