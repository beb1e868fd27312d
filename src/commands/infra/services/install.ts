import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { bootServiceCard, plannedFile } from '../../../entry/cli/views/boot-service.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PartialError } from '../../../lib/shared/errors.ts';

export default class Install extends BaseCommand<typeof Install> {
  static override summary = 'Start the system at boot, by systemd or launchd';
  static override description =
    'Writes a unit (a property list on macOS), shows it first, and has the service manager start it. The system runs as ' +
    'the owner of the project’s folder, never as root unless --run-as root says so.';
  static override examples = [
    '<%= config.bin %> infra services install --dry-run',
    '<%= config.bin %> infra services install --user',
    '<%= config.bin %> infra services install --system --run-as app --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override flags = {
    user: boolean({ exclusive: ['system'], summary: 'Use the service manager of the user who runs this' }),
    system: boolean({ exclusive: ['user'], summary: 'Use the service manager of the machine (root’s default)' }),
    'run-as': string({ helpValue: '<user>', summary: 'Run the system as this user (root only)' }),
    'dry-run': boolean({ summary: 'Show the file and the commands, and change nothing' }),
    yes: boolean({ char: 'y', summary: 'Write it without asking' }),
  };
  protected override readonly findsProfileItself = true;

  protected async execute(): Promise<Artifact> {
    const { flags, output } = this;
    const { cwd, env, profile } = this.context.options;
    const { planInstall, install } = await import('../../../lib/app/boot-service/install.ts');
    const plan = await planInstall({
      cwd,
      env,
      scope: flags.system ? 'system' : flags.user ? 'user' : undefined,
      runAs: flags['run-as'],
      profile,
      shownOnly: flags['dry-run'],
    });
    if (flags['dry-run']) {
      if (!output.session.json) for (const hint of plan.hints) output.note(hint);
      return plannedFile(plan);
    }
    if (!output.session.json) output.note(`${plan.file.path} (runs as ${plan.account})\n\n${plan.content}`);
    const question = `Write ${plan.file.path}${plan.running ? '' : ' and start it'}?`;
    await confirmed(
      { id: 'infra:services:install', effect: 'changes what starts at boot', question },
      flags,
      output.session,
    );
    const steps = await install(plan, env);
    const title = plan.present === 'absent' ? 'Installed' : plan.present === 'same' ? 'Installed already' : 'Replaced';
    const failed = steps.find(({ state }) => state === 'failed');
    if (failed !== undefined) {
      this.verdict = new PartialError(`The file is written, and ${failed.command} failed: ${failed.output}`, {
        next: ['infra services status', 'infra services uninstall'],
      });
    }
    return bootServiceCard(title, plan.file, steps, plan.hints);
  }
}
