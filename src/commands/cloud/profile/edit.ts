import { string as argument } from '@oclif/core/args';
import { string } from '@oclif/core/flags';
import { askConfirm, canAsk } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { namedOrActive, projectOf } from '../../../entry/cli/profile-names.ts';
import { editedProfile } from '../../../entry/cli/views/profiles.ts';
import type { EditedProfile } from '../../../lib/app/profiles/edit.ts';
import type { Instance } from '../../../lib/infra/config/instance.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { AnswerNeededError, CancelledError, ConfigInvalidError } from '../../../lib/shared/errors.ts';

export default class EditProfile extends BaseCommand<typeof EditProfile> {
  static override summary = 'Change a profile, in place or in your editor';
  static override description =
    'With --set and --unset just those fields change; comments and order stay. Without them, at a terminal, $VISUAL or ' +
    '$EDITOR opens a copy. What does not hold is never written. The active profile unless one is named.';
  static override examples = [
    '<%= config.bin %> cloud profile edit',
    '<%= config.bin %> cloud profile edit staging --set server.workers=2 --set runtime.log_level=debug',
    '<%= config.bin %> cloud profile edit --set "server.cors_allowed_origins=[http://localhost:5173]" --unset database.url',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override args = { name: argument({ ignoreStdin: true, description: 'The profile' }) };
  static override flags = {
    set: string({ multiple: true, helpValue: '<field=value>', summary: 'Set a field; the value is YAML' }),
    unset: string({ multiple: true, helpValue: '<field>', summary: 'Remove a field, so that its default holds' }),
  };

  protected async execute(): Promise<Artifact> {
    const { set = [], unset = [] } = this.flags;
    const project = await projectOf(this.context);
    const name = await namedOrActive(this.context, project, this.args.name);
    const edited =
      set.length + unset.length === 0 ? await this.#byHand(project, name) : await inPlace(project, name, set, unset);
    return editedProfile(name, edited, this.output.runnable('infra services reconcile'));
  }

  async #byHand(project: Instance, name: string): Promise<EditedProfile> {
    const { session } = this.output;
    const { env } = this.context.options;
    if (!canAsk(session)) {
      throw new AnswerNeededError('There is nobody to use the editor that would be opened', {
        hint: 'Say what to change with --set and --unset',
        data: { flag: '--set' },
        next: ['cloud profile edit --help'],
      });
    }
    const { ProfileDraft } = await import('../../../lib/app/profiles/edit.ts');
    const { runEditor } = await import('../../../lib/infra/process/editor.ts');
    await using draft = await ProfileDraft.open(project, name);
    for (;;) {
      const ended = await runEditor(env['VISUAL'] || env['EDITOR'] || 'vi', draft.copy, env);
      if (!ended) throw new CancelledError('The editor gave up; nothing was changed');
      const issues = await draft.findings();
      if (issues.length === 0) return await draft.accept();
      this.output.note(new ConfigInvalidError(issues).message);
      const again = { message: 'Edit it again? What you wrote is lost otherwise.', flag: '--set', initial: true };
      if (await askConfirm({ ...again, command: 'cloud:profile:edit' }, session)) continue;
      throw new ConfigInvalidError(issues, { hint: 'Nothing was changed' });
    }
  }
}

async function inPlace(
  project: Instance,
  name: string,
  set: readonly string[],
  unset: readonly string[],
): Promise<EditedProfile> {
  const { parseAssignment, parseUnset } = await import('../../../lib/app/profiles/assignments.ts');
  const { editProfile } = await import('../../../lib/app/profiles/edit.ts');
  return await editProfile(project, name, [...unset.map(parseUnset), ...set.map(parseAssignment)]);
}
