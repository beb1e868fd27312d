import { boolean, integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { clientsTable } from '../../../entry/cli/views/clients.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ClientList extends BaseCommand<typeof ClientList> {
  static override summary = 'List the clients, the newest first';
  static override description =
    'Apps that registered themselves are listed with --dynamic. Those that publish a document of themselves are none of the list.';
  static override examples = ['<%= config.bin %> admin clients list', '<%= config.bin %> admin clients list --dynamic'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override flags = {
    dynamic: boolean({ summary: 'Also apps that registered themselves' }),
    limit: integer({ min: 1, max: 500, default: 100, helpValue: '<number>', summary: 'How many at most' }),
  };

  protected async execute(): Promise<Artifact> {
    const { ClientAdministration } = await import('../../../lib/app/access/clients.ts');
    const { dynamic, limit } = this.flags;
    const clients = new ClientAdministration(await this.context.database());
    return clientsTable(await clients.list(await this.context.currentActor(), { dynamic, limit }));
  }
}
