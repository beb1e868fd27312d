import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { keysTable } from '../../../entry/cli/views/keys.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class KeyList extends BaseCommand<typeof KeyList> {
  static override summary = 'List the keys that sign access tokens';
  static override description =
    'A key signs for one server, or for all others; the next one is published ahead of its time, and a retired one until its last token has expired.';
  static override examples = ['<%= config.bin %> admin keys list', '<%= config.bin %> admin keys list --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };

  protected async execute(): Promise<Artifact> {
    const { listKeys } = await import('../../../lib/domain/auth/index.ts');
    return keysTable(await listKeys(await this.context.database()));
  }
}
