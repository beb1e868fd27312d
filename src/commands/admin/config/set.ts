import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { changed } from '../../../entry/cli/config-change.ts';
import { configPath } from '../../../entry/cli/configuration.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class SetConfig extends BaseCommand<typeof SetConfig> {
  static override summary = 'Change one value in the file that holds it';
  static override description =
    'Comments, order and every other line stay. All of the configuration is checked as it would be before anything is ' +
    'written. The value is YAML (true, 10, [a, b]), and text where the field is text. A secret is refused: cloud secrets ' +
    'set keeps it, and the value refers to it.';
  static override examples = [
    '<%= config.bin %> admin config set server.port 8090 --dry-run',
    '<%= config.bin %> admin config set mcp_servers.systemprompt.enabled false',
    "<%= config.bin %> admin config set database.url '${secret:database.url}'",
  ];
  // It can name the programs that are run.
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    path: string({ required: true, ignoreStdin: true, description: 'Which value (server.port)' }),
    value: string({ required: true, ignoreStdin: true, description: 'The new value' }),
  };
  static override flags = { 'dry-run': boolean({ summary: 'Only check it and show what would change' }) };

  protected async execute(): Promise<Artifact> {
    const path = await configPath(this.args.path);
    return await changed(this.context, this.output, [{ path, text: this.args.value }], this.flags['dry-run'] === true);
  }
}
