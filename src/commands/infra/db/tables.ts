import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { relationsTable } from '../../../entry/cli/views/database.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbTables extends BaseCommand<typeof DbTables> {
  static override summary = 'List tables and views';
  static override examples = ['<%= config.bin %> infra db tables', '<%= config.bin %> infra db tables --filter audit'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override flags = {
    filter: string({ helpValue: '<text>', summary: 'Only names with this text in them' }),
  };

  protected async execute(): Promise<Artifact> {
    const place = await databasePlace(this.context);
    const { asReader } = await import('../../../lib/app/database/connections.ts');
    const { relations } = await import('../../../lib/app/database/catalog.ts');
    const wanted = this.flags.filter?.toLowerCase() ?? '';
    const all = await asReader(place, relations);
    return relationsTable(all.filter(({ schema, name }) => `${schema}.${name}`.toLowerCase().includes(wanted)));
  }
}
