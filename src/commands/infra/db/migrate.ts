import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { withCommandDatabase } from '../../../entry/cli/database-access.ts';
import { serverPlace } from '../../../entry/cli/server-place.ts';
import { appliedTable } from '../../../entry/cli/views/migrations.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbMigrate extends BaseCommand<typeof DbMigrate> {
  static override summary = 'Apply the migrations that the database lacks';
  static override description =
    'Each migration runs in a transaction of its own; a second run at the same time waits for the first. ' +
    'Those of the core come first, then those of MCP servers. Where nothing runs, the embedded database is started for as long as this takes.';
  static override examples = ['<%= config.bin %> infra db migrate'];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };

  protected async execute(): Promise<Artifact> {
    const { migrateInstance } = await import('../../../lib/app/database-admin.ts');
    const { migrateServers } = await import('../../../lib/app/extensions/server-migrations.ts');
    const { context } = this;
    const place = await serverPlace(context);
    const servers = await context.mcpServers();
    const report = await withCommandDatabase(
      context,
      this.output,
      { purpose: 'The database is being migrated' },
      async () => {
        const { applied } = await migrateInstance(place.instance, place.profile, place.secrets);
        return { applied: [...applied, ...(await migrateServers(place, servers))] };
      },
    );
    return appliedTable(report);
  }
}
