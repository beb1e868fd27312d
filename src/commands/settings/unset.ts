import { string } from '@oclif/core/args';
import { BaseCommand } from '../../entry/cli/base-command.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';

export default class SettingsUnset extends BaseCommand<typeof SettingsUnset> {
  static override summary = 'Go back to the default of one of your settings';
  static override examples = ['<%= config.bin %> settings unset output'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override args = { name: string({ required: true, ignoreStdin: true, description: 'Name of the setting' }) };

  protected async execute(): Promise<Artifact> {
    const { UserSettingsStore } = await import('../../lib/infra/config/user-settings-store.ts');
    const { name } = this.args;
    const was = new UserSettingsStore(this.output.session.env).unset(name);
    return {
      type: 'text',
      content: was ? `${name} has its default again.` : `${name} was not set.`,
      data: { name, was },
    };
  }
}
