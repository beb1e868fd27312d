import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { askSelect } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Switch extends BaseCommand<typeof Switch> {
  static override summary = 'Make another profile the active one';
  static override description =
    'For the whole project, or with --here in the current folder and below it: in a file .systemprompt-profile, which may ' +
    'be put under version control. A flag and SYSTEMPROMPT_PROFILE go before both.';
  static override examples = [
    '<%= config.bin %> admin session switch staging',
    '<%= config.bin %> admin session switch staging --here',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'profile',
    localOnly: true,
  };
  static override args = { profile: string({ ignoreStdin: true, description: 'Name of the profile' }) };
  static override flags = { here: boolean({ summary: 'Only in this folder and below it' }) };

  protected async execute(): Promise<Artifact> {
    const { requireProject } = await import('../../../lib/infra/config/instance.ts');
    const { profileNames, requireProfile } = await import('../../../lib/infra/config/profile.ts');
    const { selectInDirectory, selectProfile } = await import('../../../lib/infra/config/selection.ts');
    const { activeProfile } = await import('../../../lib/infra/config/active-profile.ts');
    const { cwd, env } = this.context.options;
    const project = await requireProject(cwd, env);
    const names = await profileNames(project);
    const choices = names.map((value) => ({ value }));
    const question = { message: 'Which profile?', choices, flag: '<profile>', command: 'admin:session:switch' };
    const profile = this.args.profile ?? (await askSelect(question, this.output.session));
    await requireProfile(project, profile);
    const file = this.flags.here ? await selectInDirectory(cwd, profile) : await selectProfile(project, profile);
    const now = activeProfile(project, { cwd, env });
    const overruled =
      now.name === profile ? '' : ` Here ${now.name} goes before it, by ${now.file ?? 'SYSTEMPROMPT_PROFILE'}.`;
    return {
      type: 'text',
      content: `${profile} is the active profile now, by ${file}.${overruled}`,
      data: { profile, file, active_here: now.name },
    };
  }
}
