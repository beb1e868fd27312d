import { string as argument } from '@oclif/core/args';
import { boolean, integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { keptName, serverFlag } from '../../../entry/cli/secret-names.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { NotFoundError } from '../../../lib/shared/errors.ts';
import { nearest } from '../../../lib/shared/nearest.ts';

export default class RevealSecret extends BaseCommand<typeof RevealSecret> {
  static override summary = 'Print the value of a secret';
  static override description =
    'Asks before it does, unless --yes was given. Each time is written down in logs/secrets.log: the name, who and when.';
  static override examples = [
    '<%= config.bin %> cloud secrets reveal API_KEY',
    '<%= config.bin %> cloud secrets reveal API_KEY --version 2 --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    name: argument({ required: true, ignoreStdin: true, description: 'Name of the secret' }),
  };
  static override flags = {
    version: integer({ min: 1, helpValue: '<number>', summary: 'This version instead of the current one' }),
    ...serverFlag,
    yes: boolean({ char: 'y', summary: 'Print it without asking' }),
  };

  protected async execute(): Promise<Artifact> {
    const { server, version } = this.flags;
    const { session } = this.output;
    const name = keptName(this.args.name, server);
    const instance = await this.context.instance();
    const secrets = await this.context.secrets();
    const names = await secrets.names();
    if (!names.includes(name)) {
      const close = nearest(name, names);
      throw new NotFoundError(`There is no secret ${name}`, {
        ...(close.length > 0 ? { hint: `Did you mean ${close.join(' or ')}?` } : {}),
        next: ['cloud secrets list'],
      });
    }
    const question = `Print the value of ${name}?`;
    await confirmed({ id: 'cloud:secrets:reveal', effect: 'prints a secret', question }, this.flags, session);
    const found = await secrets.version(name, version);
    if (found === undefined) {
      throw new NotFoundError(`Version ${version} of ${name} is not kept`, { next: ['cloud secrets list'] });
    }
    const { noteSecretEvent } = await import('../../../lib/infra/config/secrets/journal.ts');
    // First the record, so that nothing is shown that is not on it.
    await noteSecretEvent(instance, 'revealed', { secret: name, version: found.number });
    return { type: 'copy_paste_text', content: found.value, data: { name, version: found.number } };
  }
}
