import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { appliedTable } from '../../../entry/cli/views/migrations.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbMigrate extends BaseCommand<typeof DbMigrate> {
  static override summary = 'Apply the migrations that the database lacks';
  static override description =
    'Each migration runs in a transaction of its own; a second run at the same time waits for the first.';
  static override examples = ['<%= config.bin %> infra db migrate'];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };

  protected async execute(): Promise<Artifact> {
    const { migrateInstance } = await import('../../../lib/app/database-admin.ts');
    const { context } = this;
    return appliedTable(
      await migrateInstance(await context.instance(), await context.profile(), await context.secrets()),
    );
  }
}
