import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { changed } from '../../../../entry/cli/config-change.ts';
import { changesOf } from '../../../../entry/cli/config-section.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class SetRuntime extends BaseCommand<typeof SetRuntime> {
  static override summary = 'Change how the processes run';
  static override examples = [
    '<%= config.bin %> admin config runtime set --log-level debug',
    '<%= config.bin %> admin config runtime set --environment production --dry-run',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override flags = {
    environment: string({ helpValue: '<name>', summary: 'What this is run for (development, production)' }),
    'log-level': string({ helpValue: '<level>', summary: 'The least severe log line that is written' }),
    'apply-changes': string({ helpValue: '<how>', summary: 'Follow the files (automatic), or when told (manual)' }),
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    const changes = changesOf(this.flags, {
      environment: ['runtime', 'environment'],
      'log-level': ['runtime', 'log_level'],
      'apply-changes': ['runtime', 'apply_changes'],
    });
    return await changed(this.context, this.output, changes, this.flags['dry-run'] === true);
  }
}
