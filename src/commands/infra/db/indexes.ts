import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { indexesTable } from '../../../entry/cli/views/database.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbIndexes extends BaseCommand<typeof DbIndexes> {
  static override summary = 'List indexes with their size and use';
  static override examples = [
    '<%= config.bin %> infra db indexes',
    '<%= config.bin %> infra db indexes --table audit.tool_intents',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override flags = {
    table: string({ helpValue: '<table>', summary: 'Only those of this table' }),
  };

  protected async execute(): Promise<Artifact> {
    const place = await databasePlace(this.context);
    const { asReader } = await import('../../../lib/app/database/connections.ts');
    const { findRelation, indexes } = await import('../../../lib/app/database/catalog.ts');
    const { table } = this.flags;
    return indexesTable(
      await asReader(place, async (session) =>
        indexes(session, table === undefined ? undefined : await findRelation(session, table)),
      ),
    );
  }
}
