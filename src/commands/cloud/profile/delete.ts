import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { chosenProfile, projectOf } from '../../../entry/cli/profile-names.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DeleteProfile extends BaseCommand<typeof DeleteProfile> {
  static override summary = 'Delete a profile';
  static override description =
    'Its settings go, and the sign-in that was kept for it; the tenant stays with its data and secrets. Refused for the ' +
    'active profile, and for one with which something runs.';
  static override examples = [
    '<%= config.bin %> cloud profile delete staging',
    '<%= config.bin %> cloud profile delete staging --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override args = { name: argument({ ignoreStdin: true, description: 'The profile' }) };
  static override flags = { yes: boolean({ char: 'y', summary: 'Delete it without asking' }) };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { session } = this.output;
    const { cwd, env } = this.context.options;
    const project = await projectOf(this.context);
    const command = 'cloud:profile:delete';
    const name = await chosenProfile(project, this.args.name, { command, message: 'Which profile?' }, session);
    const { deleteProfile, requireDeletable } = await import('../../../lib/app/profiles/delete.ts');
    await requireDeletable(project, name, cwd, env);
    const question = `Delete the profile ${name}? It can't be undone.`;
    await confirmed({ id: command, effect: 'deletes the settings of an environment', question }, this.flags, session);
    await deleteProfile(project, name);
    return { type: 'text', content: `Deleted the profile ${name}`, data: { profile: name } };
  }
}
