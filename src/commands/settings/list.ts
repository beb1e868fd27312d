import { BaseCommand } from '../../entry/cli/base-command.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';

export default class SettingsList extends BaseCommand<typeof SettingsList> {
  static override summary = 'List your own settings, for all projects';
  static override examples = ['<%= config.bin %> settings list', '<%= config.bin %> settings list --json'];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const { readUserSettings, userSettingDefinitions, userSettingsFile } = await import(
      '../../lib/infra/config/user-settings.ts'
    );
    const { env } = this.output.session;
    const { settings } = readUserSettings(env);
    const items = Object.entries(userSettingDefinitions).map(([name, { summary, values, preset }]) => ({
      name,
      value: String(settings[name as keyof typeof settings] ?? preset),
      set: name in settings,
      values: values.join(', '),
      meaning: summary,
    }));
    return {
      type: 'table',
      columns: [
        { name: 'name', column_type: 'string' },
        { name: 'value', column_type: 'string' },
        { name: 'set', column_type: 'boolean' },
        { name: 'values', label: 'MAY BE', column_type: 'string' },
        { name: 'meaning', column_type: 'string' },
      ],
      items,
      count: items.length,
      notes: [`Kept in ${userSettingsFile(env)}. Flags and variables of the environment outrank them.`],
    };
  }
}
