import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmDestruction } from '../../../entry/cli/confirm.ts';
import { keptName, refuseGenerated, serverFlag } from '../../../entry/cli/secret-names.ts';
import { usersInFiles } from '../../../entry/cli/secret-uses.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { NotFoundError } from '../../../lib/shared/errors.ts';

export default class UnsetSecret extends BaseCommand<typeof UnsetSecret> {
  static override summary = 'Erase secrets with all their versions';
  static override examples = [
    '<%= config.bin %> cloud secrets unset API_KEY',
    '<%= config.bin %> cloud secrets unset API_KEY --server crm --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    names: argument({ required: true, multiple: true, ignoreStdin: true, description: 'Names of the secrets' }),
  };
  static override flags = {
    ...serverFlag,
    yes: boolean({ char: 'y', summary: 'Erase them without asking' }),
  };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const names = this.args.names.map((name) => keptName(name, this.flags.server));
    refuseGenerated(names);
    const instance = await this.context.instance();
    const secrets = await this.context.secrets();
    const known = await secrets.names();
    const unknown = names.filter((name) => !known.includes(name));
    if (unknown.length > 0) {
      throw new NotFoundError(`There is no secret ${unknown.join(', ')}; nothing was changed`, {
        next: ['cloud secrets list'],
      });
    }
    const users = await usersInFiles(this.context, names);
    await confirmDestruction('cloud:secrets:unset', this.flags, this.output.session);
    const erased = await secrets.remove(names);
    const { noteSecretEvent } = await import('../../../lib/infra/config/secrets/journal.ts');
    await noteSecretEvent(instance, 'unset', { secrets: erased });
    const missed = users.length === 0 ? [] : [`Still asked for by ${users.join(', ')}`];
    return {
      type: 'text',
      content: [`Erased ${erased.join(', ')}`, ...missed].join('\n'),
      data: { erased, used_by: users },
    };
  }
}
