import { string as argument } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { changeContext, skillFields, skillFlags } from '../../../entry/cli/skill-flags.ts';
import { writtenSkill } from '../../../entry/cli/views/skills.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class EditSkill extends BaseCommand<typeof EditSkill> {
  static override summary = 'Change a skill where it is written';
  static override examples = ['<%= config.bin %> core skills edit blog_writing --tags writing,blog --enable'];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'profile' };
  static override args = { skill: argument({ required: true, ignoreStdin: true, description: 'Id of the skill' }) };
  static override flags = { ...skillFlags };

  protected async execute(): Promise<Artifact> {
    const { editSkill } = await import('../../../lib/app/skills/skills.ts');
    const fields = await skillFields(this.flags);
    return writtenSkill('Changed', await editSkill(await changeContext(this.context), this.args.skill, fields));
  }
}
