import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { clientArgument } from '../../../entry/cli/client-argument.ts';
import { clientCard } from '../../../entry/cli/views/clients.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ClientShow extends BaseCommand<typeof ClientShow> {
  static override summary = 'Show everything that is known of one client';
  static override examples = ['<%= config.bin %> admin clients show systemprompt-cli'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override args = clientArgument;

  protected async execute(): Promise<Artifact> {
    const { ClientAdministration } = await import('../../../lib/app/access/clients.ts');
    const clients = new ClientAdministration(await this.context.database());
    return clientCard(await clients.show(await this.context.currentActor(), this.args.client));
  }
}
