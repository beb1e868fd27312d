import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { duration, longestWait } from '../../../entry/cli/flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbCount extends BaseCommand<typeof DbCount> {
  static override summary = 'Count the rows of a table';
  static override examples = ['<%= config.bin %> infra db count audit.tool_intents'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override args = {
    table: string({
      required: true,
      ignoreStdin: true,
      description: 'Its name, with its schema unless that is public',
    }),
  };
  static override flags = {
    timeout: duration({ default: 30, max: longestWait, summary: 'How long it may take' }),
  };

  protected async execute(): Promise<Artifact> {
    const place = await databasePlace(this.context);
    const { countRows } = await import('../../../lib/app/database/count.ts');
    const { table, rows } = await countRows(place, this.args.table, this.flags.timeout * 1000);
    return { type: 'text', content: String(rows), data: { table, rows } };
  }
}
