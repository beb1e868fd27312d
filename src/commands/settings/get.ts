import { string } from '@oclif/core/args';
import { BaseCommand } from '../../entry/cli/base-command.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';

export default class SettingsGet extends BaseCommand<typeof SettingsGet> {
  static override summary = 'Show one of your settings';
  static override examples = ['<%= config.bin %> settings get output'];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override args = { name: string({ required: true, ignoreStdin: true, description: 'Name of the setting' }) };

  protected async execute(): Promise<Artifact> {
    const [{ settingName }, { readUserSettings, userSettingDefinitions }] = await Promise.all([
      import('../../lib/infra/config/user-settings-store.ts'),
      import('../../lib/infra/config/user-settings.ts'),
    ]);
    const name = settingName(this.args.name);
    const { settings } = readUserSettings(this.output.session.env);
    const value = settings[name] ?? userSettingDefinitions[name].preset;
    return { type: 'text', content: String(value), data: { name, value, set: name in settings } };
  }
}
