import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { duration, longestWait } from '../../../entry/cli/flags.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpInspect extends BaseCommand<typeof McpInspect> {
  static override summary = 'Show what an MCP server says of itself';
  static override description =
    'Its capabilities, protocol revisions, tools, prompts and resources, asked for the way every client goes: what you may ' +
    'not call is not in it.';
  static override examples = [
    '<%= config.bin %> plugins mcp inspect systemprompt',
    '<%= config.bin %> plugins mcp inspect systemprompt --json',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'user',
    needs: 'api',
    localOnly: true,
  };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
  };
  static override flags = {
    timeout: duration({
      default: 30,
      max: longestWait,
      defaultHelp: async () => '30s',
      summary: 'How long the server may take',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const [{ describeServer }, { inspectedCard }] = await Promise.all([
      import('../../../lib/app/mcp-call.ts'),
      import('../../../entry/cli/views/inspected.ts'),
    ]);
    const { server } = this.args;
    using interrupts = new Interrupts();
    const { signal } = interrupts;
    return inspectedCard(server, await describeServer(this.context, server, this.flags.timeout * 1000, signal));
  }
}
