import { string } from '@oclif/core/args';
import { BaseCommand } from '../entry/cli/base-command.ts';
import type { Artifact } from '../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../lib/shared/command.ts';

export default class Commands extends BaseCommand<typeof Commands> {
  static override summary = 'List the commands and what they take';
  static override description =
    'Without a topic: the topics and the names in them. With one, or with a command: arguments, flags, allowed values, ' +
    'defaults, effect, permission and examples (--json).';
  static override examples = [
    '<%= config.bin %> commands',
    '<%= config.bin %> commands infra services --json',
    '<%= config.bin %> commands plugins mcp call --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'anonymous', needs: 'none' };
  static override args = {
    topic: string({ multiple: true, ignoreStdin: true, description: 'A topic or a command, such as infra services' }),
  };

  protected async execute(): Promise<Artifact> {
    const [{ CliManifestFile }, { packageRoot }, { commandsView }] = await Promise.all([
      import('../lib/app/cli-manifest.ts'),
      import('../lib/infra/config/package-root.ts'),
      import('../entry/cli/views/commands.ts'),
    ]);
    const words = (this.args.topic ?? []).flatMap((word) => word.split(':'));
    return commandsView(await new CliManifestFile(packageRoot()).load(), words.join(' '));
  }
}
