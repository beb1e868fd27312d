import { string as argument } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { namedOrActive, projectOf } from '../../../entry/cli/profile-names.ts';
import { settingsCard } from '../../../entry/cli/views/profiles.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ShowProfile extends BaseCommand<typeof ShowProfile> {
  static override summary = 'Show all settings of a profile and their origin';
  static override description =
    'Every field with its value, and the line that says it, or that it is the default. The active profile unless one is named.';
  static override examples = [
    '<%= config.bin %> cloud profile show',
    '<%= config.bin %> cloud profile show staging --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'none' };
  static override args = { name: argument({ ignoreStdin: true, description: 'The profile' }) };

  protected async execute(): Promise<Artifact> {
    const project = await projectOf(this.context);
    const name = await namedOrActive(this.context, project, this.args.name);
    const { profileSettings } = await import('../../../lib/app/profiles/overview.ts');
    return settingsCard(await profileSettings(project, name, this.context.options.env));
  }
}
