import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { sectionText } from '../../../../entry/cli/config-section.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ShowRuntime extends BaseCommand<typeof ShowRuntime> {
  static override summary = 'Show how the processes run';
  static override examples = [
    '<%= config.bin %> admin config runtime show',
    '<%= config.bin %> admin config runtime show --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    return await sectionText(this.context, 'runtime');
  }
}
