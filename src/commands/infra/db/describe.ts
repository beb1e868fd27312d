import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { descriptionCard } from '../../../entry/cli/views/database.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbDescribe extends BaseCommand<typeof DbDescribe> {
  static override summary = 'Show columns, keys and indexes of a table';
  static override examples = [
    '<%= config.bin %> infra db describe users',
    '<%= config.bin %> infra db describe audit.tool_intents --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override args = {
    table: string({
      required: true,
      ignoreStdin: true,
      description: 'Its name, with its schema unless that is public',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const place = await databasePlace(this.context);
    const { asReader } = await import('../../../lib/app/database/connections.ts');
    const { describeRelation } = await import('../../../lib/app/database/catalog.ts');
    return descriptionCard(await asReader(place, (session) => describeRelation(session, this.args.table)));
  }
}
