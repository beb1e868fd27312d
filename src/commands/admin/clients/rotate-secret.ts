import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { clientArgument } from '../../../entry/cli/client-argument.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ClientRotateSecret extends BaseCommand<typeof ClientRotateSecret> {
  static override summary = 'Give a client a new secret';
  static override description =
    'It is shown this once. The secret before stays good until the next rotation, so that the program can be changed without a gap; ' +
    'with --revoke-old it ends at once.';
  static override examples = [
    '<%= config.bin %> admin clients rotate-secret nightly',
    '<%= config.bin %> admin clients rotate-secret nightly --revoke-old',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = clientArgument;
  static override flags = { 'revoke-old': boolean({ summary: 'End every secret before this one now' }) };

  protected async execute(): Promise<Artifact> {
    const { ClientAdministration } = await import('../../../lib/app/access/clients.ts');
    const clients = new ClientAdministration(await this.context.database());
    const revokeOld = this.flags['revoke-old'];
    const { client } = this.args;
    const { secret, revoked } = await clients.rotateSecret(await this.context.currentActor(), client, { revokeOld });
    return { type: 'copy_paste_text', content: secret, data: { client, secret, revoked } };
  }
}
