import { string as argument } from '@oclif/core/args';
import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { changeContext, skillFields, skillFlags } from '../../../entry/cli/skill-flags.ts';
import { writtenSkill } from '../../../entry/cli/views/skills.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class CreateSkill extends BaseCommand<typeof CreateSkill> {
  static override summary = 'Create a skill in a folder of services/skills/';
  static override examples = [
    '<%= config.bin %> core skills create blog_writing --description "Writes posts" --instructions-file blog.md',
    '<%= config.bin %> core skills create announcement_writing --from blog_writing --description "Writes news"',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'profile' };
  static override args = { skill: argument({ required: true, ignoreStdin: true, description: 'Id of the new skill' }) };
  static override flags = {
    ...skillFlags,
    from: string({ helpValue: '<id>', summary: 'Take from this skill what is not given' }),
  };

  protected async execute(): Promise<Artifact> {
    const { createSkill } = await import('../../../lib/app/skills/skills.ts');
    const fields = await skillFields(this.flags);
    return writtenSkill(
      'Created',
      await createSkill(await changeContext(this.context), this.args.skill, fields, this.flags.from),
    );
  }
}
