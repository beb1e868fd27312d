import { string as argument } from '@oclif/core/args';
import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { follows } from '../../../entry/cli/config-change.ts';
import { keptName, refuseGenerated, serverFlag, valueInArguments } from '../../../entry/cli/secret-names.ts';
import { usersInFiles } from '../../../entry/cli/secret-uses.ts';
import { secretValue } from '../../../entry/cli/secret-value.ts';
import { takenUp } from '../../../entry/cli/views/config-changes.ts';
import { changedSecrets } from '../../../entry/cli/views/secrets.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class SetSecret extends BaseCommand<typeof SetSecret> {
  static override summary = 'Set a secret';
  static override description =
    'The value comes from standard input, a file or a variable; at a terminal it is asked for and not shown. The last five ' +
    'versions are kept. What runs gets it with infra services reconcile.';
  static override examples = [
    '<%= config.bin %> cloud secrets set API_KEY < key.txt',
    '<%= config.bin %> cloud secrets set API_KEY --from-env API_KEY --server crm',
    '<%= config.bin %> cloud secrets set TLS_KEY --from-file tls.key',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    name: argument({ required: true, ignoreStdin: true, description: 'Name of the secret' }),
    value: argument({
      multiple: true,
      hidden: true,
      ignoreStdin: true,
      description: 'Refused: values are not given so',
    }),
  };
  static override flags = {
    'from-file': string({
      exclusive: ['from-env'],
      helpValue: '<path>',
      summary: 'Take the value from this file (- is standard input)',
    }),
    'from-env': string({ helpValue: '<variable>', summary: 'Take the value from this environment variable' }),
    ...serverFlag,
  };

  protected async execute(): Promise<Artifact> {
    const { server } = this.flags;
    if (this.args.value !== undefined && this.args.value.length > 0) throw valueInArguments();
    const name = keptName(this.args.name, server);
    refuseGenerated([name]);
    const instance = await this.context.instance();
    const secrets = await this.context.secrets();
    const value = await secretValue(name, this.flags, this.output.session);
    const { refusedValue } = await import('../../../lib/app/secrets/values-file.ts');
    const reason = refusedValue(value);
    if (reason !== undefined) throw new UsageError(`The value of ${name} ${reason}`);
    const { localUser, noteSecretEvent } = await import('../../../lib/infra/config/secrets/journal.ts');
    const changes = await secrets.setMany(new Map([[name, value]]), { by: localUser() });
    for (const { version, outcome } of changes) {
      if (outcome !== 'unchanged') await noteSecretEvent(instance, 'set', { secret: name, version });
    }
    const users = await usersInFiles(this.context, [name]);
    return changedSecrets(changes, {
      users,
      inForce: takenUp(await follows(this.context), (command) => this.output.runnable(command)),
    });
  }
}
