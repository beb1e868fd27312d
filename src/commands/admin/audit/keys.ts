import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class AuditKeys extends BaseCommand<typeof AuditKeys> {
  static override summary = 'Print the public key that signs the audit';
  static override description =
    'Keep it elsewhere: with it anybody verifies an export, and nobody who changes the database can sign what they made of it.';
  static override examples = ['<%= config.bin %> admin audit keys', '<%= config.bin %> admin audit keys --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const [{ keptAuditKeys }, { toPem }] = await Promise.all([
      import('../../../lib/app/audit/open-sealer.ts'),
      import('../../../lib/domain/governance/index.ts'),
    ]);
    const keys = (await keptAuditKeys(await this.context.secrets())).map(({ id, publicKey }) => ({
      key_id: id,
      public_key: toPem(publicKey),
    }));
    const [current] = keys;
    if (current === undefined) {
      return { type: 'text', content: 'There is no key yet: the first start of the system makes one.', data: { keys } };
    }
    return { type: 'copy_paste_text', title: `Key ${current.key_id}`, content: current.public_key, data: { keys } };
  }
}
