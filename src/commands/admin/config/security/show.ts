import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { sectionText } from '../../../../entry/cli/config-section.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ShowSecurity extends BaseCommand<typeof ShowSecurity> {
  static override summary = 'Show how tokens are issued';
  static override examples = [
    '<%= config.bin %> admin config security show',
    '<%= config.bin %> admin config security show --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    return await sectionText(this.context, 'security');
  }
}
