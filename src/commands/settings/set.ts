import { string } from '@oclif/core/args';
import { BaseCommand } from '../../entry/cli/base-command.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';

export default class SettingsSet extends BaseCommand<typeof SettingsSet> {
  static override summary = 'Change one of your settings, for all projects';
  static override examples = [
    '<%= config.bin %> settings set output json',
    '<%= config.bin %> settings set update_notice false',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override args = {
    name: string({ required: true, ignoreStdin: true, description: 'Name of the setting' }),
    value: string({ required: true, ignoreStdin: true, description: 'What it shall be' }),
  };

  protected async execute(): Promise<Artifact> {
    const { UserSettingsStore } = await import('../../lib/infra/config/user-settings-store.ts');
    const { name } = this.args;
    const store = new UserSettingsStore(this.output.session.env);
    const value = store.set(name, this.args.value);
    return { type: 'text', content: `${name} is ${value}.`, data: { name, value, file: store.file } };
  }
}
