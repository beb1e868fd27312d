import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { clientArgument } from '../../../entry/cli/client-argument.ts';
import { clientCard } from '../../../entry/cli/views/clients.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class ClientUpdate extends BaseCommand<typeof ClientUpdate> {
  static override summary = 'Change what a client may have, or disable it';
  static override description =
    'A client that is disabled loses everything that was issued to it; enabling it gives nothing of that back.';
  static override examples = [
    '<%= config.bin %> admin clients update nightly --server notes --server search',
    '<%= config.bin %> admin clients update editor --redirect-uri https://editor.example/callback',
    '<%= config.bin %> admin clients update nightly --disable',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'database' };
  static override args = clientArgument;
  static override flags = {
    name: string({ helpValue: '<text>', summary: 'What people see' }),
    server: string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<name>',
      summary: 'In place of the servers that it may have tokens for, may be repeated',
    }),
    'redirect-uri': string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<address>',
      summary: 'In place of its redirect addresses, may be repeated',
    }),
    disable: boolean({ exclusive: ['enable'], summary: 'Let it have nothing any more' }),
    enable: boolean({ summary: 'Let it sign in again' }),
  };

  protected async execute(): Promise<Artifact> {
    const { name, server: targets, 'redirect-uri': redirectUris, disable, enable } = this.flags;
    const status = disable ? ('disabled' as const) : enable ? ('active' as const) : undefined;
    const change = { name, targets, redirectUris, status };
    if (Object.values(change).every((value) => value === undefined)) {
      throw new UsageError('Nothing to change', {
        hint: 'Give --name, --server, --redirect-uri, --disable or --enable.',
      });
    }
    const { ClientAdministration } = await import('../../../lib/app/access/clients.ts');
    const clients = new ClientAdministration(await this.context.database(), await this.context.mcpServers());
    return clientCard(await clients.update(await this.context.currentActor(), this.args.client, change));
  }
}
