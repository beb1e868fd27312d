import { BaseCommand } from '../../../../../entry/cli/base-command.ts';
import { corsOrigins } from '../../../../../entry/cli/config-section.ts';
import type { Artifact } from '../../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../../lib/shared/command.ts';

export default class ListCors extends BaseCommand<typeof ListCors> {
  static override summary = 'List the sites whose pages may call the API';
  static override examples = ['<%= config.bin %> admin config server cors list'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const origins = await corsOrigins(this.context);
    return {
      type: 'list',
      items: origins.map((origin) => ({ title: origin })),
      count: origins.length,
      empty: 'No other site may call the API from a browser.',
    };
  }
}
