import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { skillsTable } from '../../../entry/cli/views/skills.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ListSkills extends BaseCommand<typeof ListSkills> {
  static override summary = 'List the skills';
  static override examples = ['<%= config.bin %> core skills list --enabled'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'profile' };
  static override flags = {
    enabled: boolean({ summary: 'Only those that are offered', exclusive: ['disabled'] }),
    disabled: boolean({ summary: 'Only those that are not' }),
  };

  protected async execute(): Promise<Artifact> {
    const { listSkills } = await import('../../../lib/app/skills/skills.ts');
    const { enabled, disabled } = this.flags;
    const skills = await listSkills(await this.context.instance());
    return skillsTable(skills.filter((skill) => (enabled ? skill.enabled : disabled ? !skill.enabled : true)));
  }
}
