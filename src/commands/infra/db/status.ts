import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { serverPlace } from '../../../entry/cli/server-place.ts';
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
    const { serverMigrations } = await import('../../../lib/app/extensions/server-migrations.ts');
    const place = await serverPlace(context);
    const status = await databaseStatus(place.instance, place.profile, place.secrets);
    const servers = await serverMigrations(place, await context.mcpServers());
    const own = servers.map(({ id, applied, pending }) => ({ id, applied, pending: pending.map(({ name }) => name) }));
    return migrationsTable({ ...status, extensions: [...status.extensions, ...own] });
  }
}
