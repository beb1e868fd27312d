import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { pathsTable } from '../../../../entry/cli/views/paths.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ShowPaths extends BaseCommand<typeof ShowPaths> {
  static override summary = 'Show where the files of the instance lie';
  static override examples = ['<%= config.bin %> admin config paths show'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const { configPlaces } = await import('../../../../lib/app/config/paths.ts');
    const { name } = await this.context.activeProfile();
    return pathsTable(await configPlaces(await this.context.instance(), name), false);
  }
}
