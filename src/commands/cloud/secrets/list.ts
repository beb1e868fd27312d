import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { serverFlag } from '../../../entry/cli/secret-names.ts';
import { usesInFiles } from '../../../entry/cli/secret-uses.ts';
import { secretsTable } from '../../../entry/cli/views/secrets.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ListSecrets extends BaseCommand<typeof ListSecrets> {
  static override summary = 'List the secrets and who uses them, without values';
  static override examples = [
    '<%= config.bin %> cloud secrets list',
    '<%= config.bin %> cloud secrets list --server crm',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override flags = { ...serverFlag };

  protected async execute(): Promise<Artifact> {
    const { server } = this.flags;
    const infos = await (await this.context.secrets()).describe();
    const uses = await usesInFiles(this.context);
    const table = secretsTable(infos, uses);
    if (server === undefined) return table;
    const items = table.items.filter((item) => item['server'] === server);
    return { ...table, items, count: items.length, notes: [], empty: `No secrets of ${server} alone are set.` };
  }
}
