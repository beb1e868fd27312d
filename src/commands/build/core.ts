import { BaseCommand } from '../../entry/cli/base-command.ts';
import { Interrupts } from '../../entry/cli/interrupt.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';

export default class BuildCore extends BaseCommand<typeof BuildCore> {
  static override summary = 'Build systemprompt itself, in its own checkout';
  static override description =
    'Builds dist/ and the index of commands, as npm run build does. The installed package is built already and has no sources.';
  static override examples = ['<%= config.bin %> build core', '<%= config.bin %> build core --json'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const { buildCore } = await import('../../lib/app/build/core.ts');
    using interrupts = new Interrupts();
    const { message, durationMs } = await buildCore(this.context.options, interrupts.signal);
    return { type: 'text', content: message, data: { duration_ms: durationMs } };
  }
}
