import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { servicesTable } from '../../../entry/cli/views/services.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Status extends BaseCommand<typeof Status> {
  static override summary = 'Show what runs, where, and since when';
  static override examples = ['<%= config.bin %> infra services status', '<%= config.bin %> infra services status --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'supervisor' };

  protected async execute(): Promise<Artifact> {
    const supervisor = await this.context.supervisor();
    return servicesTable(await supervisor.status());
  }
}
