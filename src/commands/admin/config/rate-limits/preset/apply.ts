import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../../../entry/cli/base-command.ts';
import { changedWhenConfirmed } from '../../../../../entry/cli/config-change.ts';
import { presetChanges } from '../../../../../entry/cli/rate-limit-changes.ts';
import { presetNames } from '../../../../../entry/cli/views/rate-limits.ts';
import type { Artifact } from '../../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../../lib/shared/command.ts';

export default class ApplyPreset extends BaseCommand<typeof ApplyPreset> {
  static override summary = 'Take over a preset';
  static override examples = [
    '<%= config.bin %> admin config rate-limits preset apply development --dry-run',
    '<%= config.bin %> admin config rate-limits preset apply high-traffic --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    name: argument({ required: true, ignoreStdin: true, options: presetNames, description: 'Name of the preset' }),
  };
  static override flags = {
    yes: boolean({ char: 'y', summary: 'Do it without being asked' }),
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    const changes = await presetChanges(this.args.name as (typeof presetNames)[number]);
    return await changedWhenConfirmed(this.context, this.output, changes, { id: this.ctor.id, flags: this.flags });
  }
}
