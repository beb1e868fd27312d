import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { pathsTable } from '../../../../entry/cli/views/paths.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';
import { PreconditionError } from '../../../../lib/shared/errors.ts';

export default class ValidatePaths extends BaseCommand<typeof ValidatePaths> {
  static override summary = 'Check that those files are there and private';
  static override description = 'A path that can not be used gives the exit code 6.';
  static override examples = ['<%= config.bin %> admin config paths validate'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const { configPlaces } = await import('../../../../lib/app/config/paths.ts');
    const { name } = await this.context.activeProfile();
    const places = await configPlaces(await this.context.instance(), name);
    const faults = places.filter(({ fault }) => fault !== undefined);
    if (faults.length > 0) {
      const told = faults.map(({ path, fault }) => `${path} ${fault}`).join('; ');
      this.verdict = new PreconditionError(told, { next: ['doctor'] });
    }
    return pathsTable(places, true);
  }
}
