import { string as argument } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { skillCard } from '../../../entry/cli/views/skills.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ShowSkill extends BaseCommand<typeof ShowSkill> {
  static override summary = 'Show a skill with its instructions';
  static override examples = ['<%= config.bin %> core skills show blog_writing'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'profile' };
  static override args = { skill: argument({ required: true, ignoreStdin: true, description: 'Id of the skill' }) };

  protected async execute(): Promise<Artifact> {
    const { findSkill } = await import('../../../lib/app/skills/skills.ts');
    return skillCard(await findSkill(await this.context.instance(), this.args.skill));
  }
}
