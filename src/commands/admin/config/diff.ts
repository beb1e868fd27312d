import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { effectiveOf } from '../../../entry/cli/configuration.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DiffConfig extends BaseCommand<typeof DiffConfig> {
  static override summary = 'Compare what runs with what the files say';
  static override description =
    'Value by value: what the running system goes by, and what the profile and services/ say now. Secrets that are ' +
    'written out are blanked on both sides, so a change of one does not show.';
  static override examples = ['<%= config.bin %> admin config diff', '<%= config.bin %> admin config diff --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'supervisor' };

  protected async execute(): Promise<Artifact> {
    const { configurationDifferences, runningConfiguration } = await import('../../../lib/app/config/running.ts');
    const running = await runningConfiguration(await this.context.supervisor());
    const files = await effectiveOf(this.context);
    const { differencesText } = await import('../../../entry/cli/views/config-changes.ts');
    return differencesText(running.loadedAt, configurationDifferences(running, files));
  }
}
