import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { clientArgument } from '../../../entry/cli/client-argument.ts';
import { clientFacts } from '../../../entry/cli/views/clients.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ClientDelete extends BaseCommand<typeof ClientDelete> {
  static override summary = 'Delete a client';
  static override description =
    'Its secrets go, and everything that was issued to it ends. The user of a service account stays: admin users delete removes it.';
  static override examples = ['<%= config.bin %> admin clients delete nightly --yes'];
  static override declaration: CommandDeclaration = { effect: 'destructive', permission: 'admin', needs: 'database' };
  static override args = clientArgument;
  static override flags = { yes: boolean({ char: 'y', summary: 'Delete the client without asking' }) };

  protected async execute(): Promise<Artifact> {
    const { ClientAdministration } = await import('../../../lib/app/access/clients.ts');
    const clients = new ClientAdministration(await this.context.database());
    const client = await clients.delete(await this.context.currentActor(), this.args.client);
    return { type: 'text', content: `Deleted the client ${client.id}.`, data: clientFacts(client) };
  }
}
