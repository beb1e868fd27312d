import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { bootServiceCard } from '../../../entry/cli/views/boot-service.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Uninstall extends BaseCommand<typeof Uninstall> {
  static override summary = 'Undo what install did; the data stays';
  static override description =
    'Has the service manager stop and forget the system, and removes the file that install wrote; a file that it did not ' +
    'write is left alone.';
  static override examples = [
    '<%= config.bin %> infra services uninstall',
    '<%= config.bin %> infra services uninstall --user --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override flags = {
    user: boolean({ exclusive: ['system'], summary: 'Look at the service manager of the user only' }),
    system: boolean({ exclusive: ['user'], summary: 'Look at the service manager of the machine only' }),
    yes: boolean({ char: 'y', summary: 'Remove it without asking' }),
  };
  protected override readonly findsProfileItself = true;

  protected async execute(): Promise<Artifact> {
    const { flags, output } = this;
    const { cwd, env, profile } = this.context.options;
    const { findInstalled, uninstall } = await import('../../../lib/app/boot-service/install.ts');
    const file = await findInstalled(cwd, env, flags.system ? 'system' : flags.user ? 'user' : undefined, profile);
    const question = `Stop the system and remove ${file.path}?`;
    await confirmed({ id: 'infra:services:uninstall', effect: 'stops the system', question }, flags, output.session);
    const steps = await uninstall(file, env);
    return bootServiceCard('Uninstalled', file, steps, []);
  }
}
