import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { chosenProfile, projectOf } from '../../../entry/cli/profile-names.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PreconditionError } from '../../../lib/shared/errors.ts';
import { isWithin } from '../../../lib/shared/paths.ts';

export default class UseProfile extends BaseCommand<typeof UseProfile> {
  static override summary = 'Make a profile the active one';
  static override description =
    'For the whole project, or with --here for the current folder and those below it, by a file that can be committed. ' +
    '--profile and SYSTEMPROMPT_PROFILE still go before it.';
  static override examples = [
    '<%= config.bin %> cloud profile use staging',
    '<%= config.bin %> cloud profile use staging --here',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override args = { name: argument({ ignoreStdin: true, description: 'The profile' }) };
  static override flags = { here: boolean({ summary: 'Only in this folder and below it' }) };

  protected async execute(): Promise<Artifact> {
    const { session } = this.output;
    const { cwd, env } = this.context.options;
    const project = await projectOf(this.context);
    const question = { command: 'cloud:profile:use', message: 'Which profile?' };
    const name = await chosenProfile(project, this.args.name, question, session);
    if (this.flags.here && !isWithin(project.root, cwd)) {
      throw new PreconditionError(`${cwd} does not lie in the project ${project.root}.`, {
        hint: 'Change to a folder of the project, or leave --here out.',
        next: ['cloud profile list'],
      });
    }
    const { selectInDirectory, selectProfile } = await import('../../../lib/infra/config/selection.ts');
    const file = this.flags.here ? await selectInDirectory(cwd, name) : await selectProfile(project, name);
    const { selectedProfile } = await import('../../../lib/app/profiles/overview.ts');
    const here = selectedProfile(project, cwd);
    const variable = env['SYSTEMPROMPT_PROFILE'];
    const stronger = [
      ...(here.name === name ? [] : [`${here.file} goes before it here and says ${here.name}`]),
      ...(variable === undefined || variable === '' || variable === name
        ? []
        : [`SYSTEMPROMPT_PROFILE goes before it here and says ${variable}`]),
    ];
    const where = this.flags.here ? 'in this folder and below it' : 'in this project';
    return {
      type: 'text',
      content: [`Commands use the profile ${name} ${where}`, ...stronger].join('\n'),
      data: { profile: name, file, active_here: here.name },
    };
  }
}
