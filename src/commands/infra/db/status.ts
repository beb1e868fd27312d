import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { migrationsTable } from '../../../entry/cli/views/migrations.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbStatus extends BaseCommand<typeof DbStatus> {
  static override summary = 'Show which migrations the database has and lacks';
  static override examples = ['<%= config.bin %> infra db status', '<%= config.bin %> infra db status --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };

  protected async execute(): Promise<Artifact> {
    const { databaseStatus } = await import('../../../lib/app/database-admin.ts');
    const { context } = this;
    return migrationsTable(
      await databaseStatus(await context.instance(), await context.profile(), await context.secrets()),
    );
  }
}
