import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { servicesTable, stoppedTable } from '../../../entry/cli/views/services.ts';
import { isNotRunning } from '../../../lib/app/supervisor/running.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Status extends BaseCommand<typeof Status> {
  static override summary = 'Show what runs, where, and since when';
  static override examples = [
    '<%= config.bin %> infra services status',
    '<%= config.bin %> infra services status --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'supervisor' };

  protected async execute(): Promise<Artifact> {
    try {
      const supervisor = await this.context.supervisor();
      return servicesTable(await supervisor.status());
    } catch (error) {
      if (!isNotRunning(error)) throw error;
      const servers = await this.context.mcpServers();
      const names = servers.filter((server) => server.enabled).map((server) => `mcp:${server.name}`);
      const database = (await this.context.profile()).database.url === undefined ? ['database'] : [];
      return stoppedTable([...database, 'api', ...names], 'Nothing is running; start it with: infra services start');
    }
  }
}
