import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { sizesTable } from '../../../entry/cli/views/database.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbSize extends BaseCommand<typeof DbSize> {
  static override summary = 'Show what takes up space, the largest first';
  static override examples = ['<%= config.bin %> infra db size'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };

  protected async execute(): Promise<Artifact> {
    const place = await databasePlace(this.context);
    const { asReader } = await import('../../../lib/app/database/connections.ts');
    const { sizes } = await import('../../../lib/app/database/catalog.ts');
    return sizesTable(await asReader(place, sizes));
  }
}
