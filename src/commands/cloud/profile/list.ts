import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { projectOf } from '../../../entry/cli/profile-names.ts';
import { profilesTable } from '../../../entry/cli/views/profiles.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ListProfiles extends BaseCommand<typeof ListProfiles> {
  static override summary = 'List the profiles and say which one is active';
  static override examples = ['<%= config.bin %> cloud profile list', '<%= config.bin %> cloud profile list --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'none' };
  /** What helps where the active one is not there must not fail for that. */
  protected override readonly findsProfileItself = true;

  protected async execute(): Promise<Artifact> {
    const project = await projectOf(this.context);
    const { profileEntries } = await import('../../../lib/app/profiles/overview.ts');
    return profilesTable(await profileEntries(project, (await this.context.activeProfile()).name));
  }
}
