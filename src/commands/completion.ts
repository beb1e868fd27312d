import { string } from '@oclif/core/args';
import { BaseCommand } from '../entry/cli/base-command.ts';
import type { Artifact } from '../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../lib/shared/command.ts';

export default class Completion extends BaseCommand<typeof Completion> {
  static override summary = 'Print the completion script for your shell';
  static override description = 'The first lines of the script say where it goes.';
  static override examples = [
    '<%= config.bin %> completion bash >> ~/.bashrc',
    '<%= config.bin %> completion zsh >> ~/.zshrc',
    '<%= config.bin %> completion fish > ~/.config/fish/completions/systemprompt.fish',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override args = {
    shell: string({ required: true, ignoreStdin: true, options: ['bash', 'zsh', 'fish'], description: 'The shell' }),
  };

  protected async execute(): Promise<Artifact> {
    const [{ CliManifestFile }, { packageRoot }, { completionTree }, posix, { fishScript }] = await Promise.all([
      import('../lib/app/cli-manifest.ts'),
      import('../lib/infra/config/package-root.ts'),
      import('../entry/cli/completion/tree.ts'),
      import('../entry/cli/completion/posix.ts'),
      import('../entry/cli/completion/fish.ts'),
    ]);
    const places = completionTree(await new CliManifestFile(packageRoot()).load());
    const scripts = { bash: posix.bashScript, zsh: posix.zshScript, fish: fishScript };
    const shell = this.args.shell as keyof typeof scripts;
    return { type: 'copy_paste_text', content: scripts[shell](places), language: shell };
  }
}
