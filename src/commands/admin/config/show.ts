import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { configPath, effectiveOf, nodeAt } from '../../../entry/cli/configuration.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ShowConfig extends BaseCommand<typeof ShowConfig> {
  static override summary = 'Show the configuration that is in force';
  static override description =
    'The profile and services/ together, with the environment and the defaults. Secrets are shown as the references ' +
    'that they are, and blanked where one is written out.';
  static override examples = [
    '<%= config.bin %> admin config show',
    '<%= config.bin %> admin config show server --origin',
    '<%= config.bin %> admin config show mcp_servers.systemprompt --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override args = {
    path: string({ ignoreStdin: true, description: 'What to show (server.port); all when absent' }),
  };
  static override flags = { origin: boolean({ summary: 'Say for every value where it comes from' }) };

  protected async execute(): Promise<Artifact> {
    const path = this.args.path === undefined ? [] : await configPath(this.args.path);
    const configuration = await effectiveOf(this.context);
    const { configurationText, originText } = await import('../../../entry/cli/views/configuration.ts');
    const value = await nodeAt(configuration, path);
    if (this.flags.origin) return originText(configuration, path);
    return configurationText(configuration.profileName, path, value);
  }
}
