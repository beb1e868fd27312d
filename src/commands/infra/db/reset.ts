import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { withCommandDatabase } from '../../../entry/cli/database-access.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { appliedTable } from '../../../entry/cli/views/migrations.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbReset extends BaseCommand<typeof DbReset> {
  static override summary = 'Delete everything and make the database anew';
  static override description =
    'All tables of the core and of the MCP servers, then all migrations from the first. The system must be stopped.';
  static override examples = ['<%= config.bin %> infra db reset --yes'];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override flags = { yes: boolean({ char: 'y', summary: 'Delete everything without asking' }) };

  protected async execute(): Promise<Artifact> {
    const place = await databasePlace(this.context);
    const { resetInstance } = await import('../../../lib/app/database/restore-instance.ts');
    const work = { purpose: 'The database is being reset', alone: true };
    return appliedTable(await withCommandDatabase(this.context, this.output, work, () => resetInstance(place)));
  }
}
