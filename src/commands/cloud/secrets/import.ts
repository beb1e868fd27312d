import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { follows } from '../../../entry/cli/config-change.ts';
import { keptName, refuseGenerated, serverFlag } from '../../../entry/cli/secret-names.ts';
import { usersInFiles } from '../../../entry/cli/secret-uses.ts';
import { readText } from '../../../entry/cli/secret-value.ts';
import { takenUp } from '../../../entry/cli/views/config-changes.ts';
import { changedSecrets } from '../../../entry/cli/views/secrets.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ImportSecrets extends BaseCommand<typeof ImportSecrets> {
  static override summary = 'Set several secrets from a file';
  static override description =
    'Reads lines of NAME=value (.env) or a JSON object of texts; - is standard input. All of them are set or, when one can not ' +
    'be, none. What has its value already stays as it is.';
  static override examples = [
    '<%= config.bin %> cloud secrets import .env --dry-run',
    '<%= config.bin %> cloud secrets import secrets.json --server crm',
    '<%= config.bin %> cloud secrets import - < .env',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    file: argument({ required: true, ignoreStdin: true, description: 'File to read; - is standard input' }),
  };
  static override flags = {
    'dry-run': boolean({ summary: 'Only show what would be set' }),
    ...serverFlag,
  };

  protected async execute(): Promise<Artifact> {
    const { server, 'dry-run': dryRun } = this.flags;
    const { file } = this.args;
    const instance = await this.context.instance();
    const secrets = await this.context.secrets();
    const { readValuesFile } = await import('../../../lib/app/secrets/values-file.ts');
    const read = readValuesFile(await readText(file), file === '-' ? 'stdin' : file);
    const values = new Map([...read].map(([name, value]) => [keptName(name, server), value]));
    refuseGenerated(values.keys());
    const { localUser, noteSecretEvent } = await import('../../../lib/infra/config/secrets/journal.ts');
    const changes = await secrets.setMany(values, { by: localUser(), dryRun });
    const set = changes.filter(({ outcome }) => outcome !== 'unchanged').map(({ name }) => name);
    if (!dryRun && set.length > 0) await noteSecretEvent(instance, 'set', { secrets: set });
    const users = await usersInFiles(this.context, set);
    return changedSecrets(changes, {
      users,
      dryRun,
      inForce: takenUp(await follows(this.context), (command) => this.output.runnable(command)),
    });
  }
}
