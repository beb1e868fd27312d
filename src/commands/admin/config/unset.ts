import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { changed } from '../../../entry/cli/config-change.ts';
import { configPath } from '../../../entry/cli/configuration.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class UnsetConfig extends BaseCommand<typeof UnsetConfig> {
  static override summary = 'Take a value out of its file; the default holds';
  static override examples = [
    '<%= config.bin %> admin config unset server.external_url',
    '<%= config.bin %> admin config unset runtime.log_level --dry-run',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    path: string({ required: true, ignoreStdin: true, description: 'Which value (server.port)' }),
  };
  static override flags = { 'dry-run': boolean({ summary: 'Only check it and show what would change' }) };

  protected async execute(): Promise<Artifact> {
    const path = await configPath(this.args.path);
    return await changed(this.context, this.output, [{ path, unset: true }], this.flags['dry-run'] === true);
  }
}
